"""Dynamic position bias, against its definition."""
import pytest
import torch

from mmvisattn.models.crossformer.dynamic_position_bias import DynamicPositionBias, bias_between_tokens

SIZES = ((3, 4), (2, 4), (1, 1))


@pytest.fixture
def bias():
    bias = DynamicPositionBias(64, num_heads=2)
    with torch.no_grad():
        for p in bias.parameters():
            p.normal_()
    return bias


def test_is_the_mlp_of_the_offset(bias):
    for (rows, cols), table in zip(SIZES, bias(SIZES)):
        assert table.shape == (2, 2 * rows - 1, 2 * cols - 1)
        between = bias_between_tokens(table, 0, rows)
        assert between.shape == (2, rows * cols, rows * cols)
        for i in range(rows * cols):
            for j in range(rows * cols):
                offset = torch.tensor([i // cols - j // cols, i % cols - j % cols], dtype=torch.float32)
                torch.testing.assert_close(between[:, i, j], bias.mlp(offset))


def test_some_rows_of_queries_are_those_of_all(bias):
    table, = bias([(5, 3)])
    whole = bias_between_tokens(table, 0, 5)
    torch.testing.assert_close(bias_between_tokens(table, 1, 3), whole[:, 3:9], atol=0, rtol=0)
