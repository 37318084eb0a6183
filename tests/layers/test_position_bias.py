"""Dynamic position bias: its definition, and tables that are never stale."""
import copy
import pickle

import pytest
import torch

from mmvisattn.layers import DynamicPositionBias

SIZES = ((3, 4), (2, 4))


def build():
    bias = DynamicPositionBias(64, num_heads=2).eval()
    with torch.no_grad():
        for p in bias.parameters():
            p.normal_()
    return bias


def test_is_the_mlp_of_the_offset():
    bias = build()
    for (rows, cols), table in zip(SIZES, bias(SIZES)):
        assert table.shape == (2, rows * cols, rows * cols)
        for i in range(rows * cols):
            for j in range(rows * cols):
                offset = torch.tensor([i // cols - j // cols, i % cols - j % cols], dtype=torch.float32)
                torch.testing.assert_close(table[:, i, j], bias.mlp(offset))


def test_tables_are_kept_in_eval_without_gradients_only():
    bias = build()
    with torch.no_grad():
        assert bias(SIZES)[0] is bias(SIZES)[0]
    assert bias(SIZES)[0] is not bias(SIZES)[0]
    assert bias(SIZES)[0].requires_grad
    bias.train()
    with torch.no_grad():
        assert bias(SIZES)[0] is not bias(SIZES)[0]


def test_only_the_last_few_tables_are_kept():
    bias = build()
    with torch.no_grad():
        first = bias(SIZES)[0]
        for rows in range(1, bias.most_tables):
            bias(((rows, 1),))
        assert bias(SIZES)[0] is first
        bias(((9, 9),))
        assert bias(SIZES)[0] is not first
    assert len(bias._tables) == bias.most_tables


def scale_in_place(bias):
    with torch.no_grad():
        bias.mlp[0].weight.mul_(2)


def step(bias):
    bias(SIZES)[0].sum().backward()
    torch.optim.AdamW(bias.parameters(), lr=0.1).step()


def swap_data_around_a_mode_change(bias):
    """As mmengine's EMAHook does around validation."""
    bias.train()
    bias.mlp[0].weight.data.mul_(2)
    bias.eval()


@pytest.mark.parametrize('change', [
    scale_in_place,
    step,
    swap_data_around_a_mode_change,
    lambda bias: bias.load_state_dict(build().state_dict()),
    lambda bias: bias.load_state_dict(build().state_dict(), assign=True),
    lambda bias: setattr(bias.mlp[0], 'weight', torch.nn.Parameter(torch.randn(4, 2))),
    lambda bias: bias.double(),
    lambda bias: bias.half().float(),
], ids=['in place', 'optimizer', 'data', 'load', 'assign', 'new parameter', 'double', 'rounded'])
def test_tables_are_dropped_when_weights_change(change):
    torch.manual_seed(1)
    bias = build()
    with torch.no_grad():
        bias(SIZES)
    change(bias)
    with torch.no_grad():
        for kept, fresh in zip(bias(SIZES), bias.compute(SIZES)):
            torch.testing.assert_close(kept, fresh, atol=0, rtol=0)


def test_tables_do_not_travel():
    bias = build()
    with torch.inference_mode():
        bias(SIZES)
    for other in (copy.deepcopy(bias), pickle.loads(pickle.dumps(bias))):
        scale_in_place(other)
        with torch.no_grad():
            torch.testing.assert_close(other(SIZES)[0], other.compute(SIZES)[0], atol=0, rtol=0)
    assert len(pickle.dumps(bias)) == len(pickle.dumps(build()))


def test_autocast_has_tables_of_its_own():
    bias = build()
    with torch.no_grad():
        exact = bias(SIZES)[0]
        with torch.autocast('cpu', torch.bfloat16):
            rounded = bias(SIZES)[0]
        torch.testing.assert_close(bias(SIZES)[0], exact, atol=0, rtol=0)
    assert rounded.dtype == torch.bfloat16
