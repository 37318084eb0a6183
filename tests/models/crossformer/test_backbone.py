"""Tests that are specific to CrossFormer and CrossFormer++."""
import copy
import gc

import hypothesis.strategies as st
import pytest
import torch
from helpers.cases import BACKBONES
from helpers.counting import macs_on_padding
from helpers.uninitialized import Uninitialized
from hypothesis import given, settings
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmvisattn.layers import chunks
from mmvisattn.models import CrossFormer
from mmvisattn.models.crossformer import backbone
from mmvisattn.models.crossformer.backbone import ActivationCooling, progressive_group_sizes
from mmvisattn.weights import load_official

CASE = BACKBONES['CrossFormer']


@pytest.fixture(scope='module')
def model():
    return CASE.build(interval=(2, 'adaptive', 1, 2)).eval()


side = st.integers(1, 150)


@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.tuples(side, side), min_size=1, max_size=4), probe=st.tuples(side, side))
def test_no_result_depends_on_sizes_seen_before(model, sizes, probe):
    x = torch.randn(1, 3, *probe)
    with torch.inference_mode():
        expected = copy.deepcopy(model)(x)
        for size in sizes:
            model(torch.randn(1, 3, *size))
        for output, first in zip(model(x), expected):
            torch.testing.assert_close(output, first, atol=0, rtol=0)


# Millions of parameters and GMACs at 224 x 224 of the released code with its 1000-class head, as measured.
MEASURED = {
    'tiny': (27.78, 2.86), 'small': (30.66, 4.91), 'base': (51.97, 9.16), 'large': (91.97, 16.11),
    'pp-small': (23.33, 4.43), 'pp-base': (51.99, 9.59), 'pp-large': (92.00, 16.72), 'pp-huge': (95.96, 22.00),
}


@pytest.mark.parametrize('arch', MEASURED)
def test_parameters_and_multiply_adds(arch):
    with Uninitialized():
        model = CrossFormer(arch).eval()
    dims = model.out_channels[-1]
    norm_and_head = 2 * dims + dims * 1000 + 1000
    millions = (sum(p.numel() for p in model.parameters()) + norm_and_head) / 1e6
    # The counter counts the products of attention only with the explicit (MATH) backend.
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        model(torch.zeros(1, 3, 224, 224))
    gmacs = (counter.get_total_flops() / 2 + dims * 1000 + macs_on_padding(model, 224, 224)) / 1e9
    assert (millions, gmacs) == (pytest.approx(MEASURED[arch][0], rel=0.01), pytest.approx(MEASURED[arch][1], rel=0.01))


def kinds(model):
    return [[(block.group_size, block.interval) for block in stage.blocks] for stage in model.stages]


def test_blocks_alternate_short_and_long_distance():
    assert kinds(CrossFormer('small')) == [
        [(7, None), (7, 8)], [(7, None), (7, 4)], [(7, None), (7, 2)] * 3, [(7, None), (7, 1)]]
    assert kinds(CrossFormer('pp-small'))[2][:2] == [(14, None), (14, 1)]


def test_long_distance_groups_lie_on_the_map_or_in_squares():
    short, long = CrossFormer('small').stages[0].blocks
    assert short.kind(64, 100) == (7, 7, 1) and long.kind(64, 100) == (8, 13, 8)
    assert CrossFormer('small', lda_scope='square').stages[0].blocks[1].kind(64, 100) == (7, 7, 8)
    # With interval 1, every token attends to all tokens ('map') or to its neighbours ('square').
    assert CrossFormer('small').stages[3].blocks[1].kind(16, 25) == (16, 25, 1)
    assert CrossFormer('small', lda_scope='square').stages[3].blocks[1].kind(16, 25) == (7, 7, 1)


def test_the_scope_is_that_of_the_published_weights():
    scopes = {arch: CrossFormer(arch).stages[0].blocks[1].lda_scope for arch in ('small', 'pp-small')}
    assert scopes == {'small': 'map', 'pp-small': 'square'}
    assert CrossFormer('pp-small', lda_scope='map').stages[0].blocks[1].lda_scope == 'map'


@pytest.mark.parametrize('scope, kind', [('map', (5, 5, 1)), ('square', (5, 40, 1))])
def test_small_maps_have_short_distance_attention_only(scope, kind):
    for block in CrossFormer('small', lda_scope=scope).stages[0].blocks:
        assert block.kind(5, 40) == kind
        assert block.kind(7, 7) == (7, 7, 1)


def test_settings_per_block():
    model = CASE.build(group_size=((3, 5), 4, 3, (2, 6)), interval=((1, 3), 2, 'adaptive', 1))
    assert kinds(model)[0] == [(3, None), (5, 3)] and kinds(model)[3] == [(2, None), (6, 1)]
    assert kinds(model)[2] == [(3, None), (3, 'adaptive')] * 2


def test_group_size_policies():
    depths = (2, 2, 4)
    assert progressive_group_sizes('constant', depths, size=7) == [[7, 7], [7, 7], [7] * 4]
    assert progressive_group_sizes('linear', depths, start=4, end=11) == [[4, 5], [6, 7], [8, 9, 10, 11]]
    assert progressive_group_sizes('alternating', depths, sizes=(7, 14)) == [[7, 7], [7, 7], [7, 7, 14, 14]]
    model = CASE.build(group_size=dict(policy='linear', start=3, end=6))
    assert kinds(model)[0][0][0] == 3 and kinds(model)[3][-1][0] == 6
    assert all(y.isfinite().all() for y in model(torch.randn(1, 3, 200, 90)))


@pytest.mark.parametrize('kwargs, named', [
    (dict(group_size=(7, 7)), 'group_size'), (dict(group_size='adaptive'), 'group_size'),
    (dict(group_size=0), 'group_size'), (dict(interval='wide'), 'interval'),
    (dict(interval=((1, 2, 3), 1, 1, 1)), 'interval'), (dict(group_size=dict(policy='magic')), 'magic'),
    (dict(group_size=dict(policy='linear', size=3)), 'linear'), (dict(lda_scope='circle'), 'circle')], ids=lambda x: str(x))
def test_wrong_settings_are_named(kwargs, named):
    with pytest.raises(ValueError, match=named):
        CASE.build(**kwargs)


@pytest.mark.parametrize('scope, kinds', [
    ('map', [(4, 2, 5), (4, 4, 4), (3, 3, 1)]), ('square', [(4, 4, 5), (4, 4, 4), (3, 90, 1)])])
def test_the_adaptive_interval_covers_the_map_with_a_group(scope, kinds):
    block = CASE.build(group_size=4, interval='adaptive', lda_scope=scope).stages[0].blocks[1]
    assert [block.kind(*size) for size in ((17, 9), (16, 16), (3, 90))] == kinds


def test_cooling_follows_every_third_block_but_the_last():
    blocks = CrossFormer('pp-huge').stages
    assert [i for i, block in enumerate(blocks[0].blocks) if block.cooling] == [2]
    assert [i for i, block in enumerate(blocks[2].blocks) if block.cooling] == [2, 5, 8, 11, 14]
    assert not any(block.cooling for stage in CrossFormer('base').stages for block in stage.blocks)
    assert any(isinstance(m, ActivationCooling) for m in CrossFormer('base', with_cooling=True).modules())


def test_out_norm_is_off_by_default():
    x = torch.randn(1, 3, 64, 64)
    plain, normed = CASE.build().eval(), CASE.build(out_norm=True, out_indices=(1, 3)).eval()
    normed.load_state_dict(plain.state_dict(), strict=False)
    with torch.inference_mode():
        for output, raw in zip(normed(x), (plain(x)[1], plain(x)[3])):
            expected = torch.nn.functional.layer_norm(raw.permute(0, 2, 3, 1), raw.shape[1:2]).permute(0, 3, 1, 2)
            torch.testing.assert_close(output, expected)
    assert not any('out_norms' in name for name in plain.state_dict())


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_whole_models_in_half_precision(dtype):
    model, x = CASE.build().eval(), torch.randn(1, 3, 130, 96)
    with torch.inference_mode():
        exact = model(x)
        for output, expected in zip(copy.deepcopy(model).to(dtype)(x.to(dtype)), exact):
            assert output.dtype == dtype and output.isfinite().all()
            assert (output.float() - expected).abs().mean() < 0.1 * expected.std()


def test_inference_in_chunks_changes_nothing(monkeypatch):
    model, x = CASE.build().eval(), torch.randn(2, 3, 96, 128)
    with torch.inference_mode():
        expected = model(x)
        monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 3000)
        for output, whole in zip(model(x), expected):
            torch.testing.assert_close(output, whole)


def gradients(model, x):
    model.zero_grad()
    sum(y.square().mean() for y in model(x)).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def test_large_attention_in_chunks_changes_nothing(monkeypatch):
    model, x = CASE.build().double().eval(), torch.randn(2, 3, 96, 136, dtype=torch.float64)
    with torch.inference_mode():
        expected = model(x)
    expected_gradients = gradients(model, x)
    monkeypatch.setattr(backbone, 'MAX_ATTENTION_ELEMENTS', 2000)
    with torch.inference_mode():
        for output, whole in zip(model(x), expected):
            torch.testing.assert_close(output, whole)
    for name, gradient in gradients(model, x).items():
        torch.testing.assert_close(gradient, expected_gradients[name])


def test_no_size_leaves_tensors_behind():
    model = CASE.build().eval()

    def tensors_after(size):
        with torch.inference_mode():
            model(torch.randn(1, 3, *size))
        gc.collect()
        return sum(torch.is_tensor(x) for x in gc.get_objects())

    before = tensors_after((64, 64))
    assert [tensors_after((64 + 8 * i, 200 - 8 * i)) for i in range(4)] == [before] * 4


def test_classifier_files_load_without_their_extra_tensors():
    from helpers import golden
    state = golden.checkpoint(golden.read('crossformer_t'))
    extra = {
        'norm.weight': torch.ones(512), 'norm.bias': torch.zeros(512), 'head.weight': torch.zeros(1000, 512),
        'head.bias': torch.zeros(1000), 'layers.0.blocks.0.attn.biases': torch.zeros(169, 2),
        'layers.0.blocks.0.attn.relative_position_index': torch.zeros(49, 49, dtype=torch.int64),
        'layers.2.blocks.1.attn_mask': torch.zeros(4, 49, 49)}
    report = load_official(CrossFormer('tiny'), dict(model=state | extra))
    assert report.dropped == list(extra) and len(report.loaded) == len(state)
