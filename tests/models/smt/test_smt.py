"""Tests that are specific to SMT."""
import copy

import pytest
import torch
import torch.nn.functional as F
from helpers import golden
from helpers.cases import BACKBONES
from helpers.uninitialized import Uninitialized
from mmengine.registry import MODELS
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmvisattn.layers import chunks
from mmvisattn.models import SMT, ScaleAwareModulation
from mmvisattn.models.smt.backbone import GlobalAttention
from mmvisattn.weights import load_official

CASE = BACKBONES['SMT']

# Millions of parameters and GMACs at 224 x 224 of the released code with its 1000-class head, as measured.
MEASURED = {'tiny': (11.51, 2.46), 'small': (22.55, 4.84), 'base': (32.04, 7.97), 'large': (80.59, 17.91)}


@pytest.mark.parametrize('arch', MEASURED)
def test_parameters_and_multiply_adds(arch):
    with Uninitialized():
        model = SMT(arch).eval()
    head = model.out_channels[-1] * 1000 + 1000
    millions = (sum(p.numel() for p in model.parameters()) + head) / 1e6
    # The counter counts the products of attention only with the explicit (MATH) backend.
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        model(torch.zeros(1, 3, 224, 224))
    gmacs = (counter.get_total_flops() / 2 + head) / 1e9
    assert (millions, gmacs) == (pytest.approx(MEASURED[arch][0], rel=0.01), pytest.approx(MEASURED[arch][1], rel=0.01))


def mixers(model):
    return [''.join('A' if isinstance(block.mixer, GlobalAttention) else 'M' for block in stage.blocks)
            for stage in model.stages]


def test_the_pattern_repeats_over_a_stage():
    assert mixers(SMT('tiny')) == ['MM', 'MM', 'MAMAMAMA', 'A']
    model = CASE.build(pattern=('M', 'A', 'A', 'MA'))
    assert mixers(model) == ['M', 'A', 'AA', 'M']
    assert all(y.isfinite().all() for y in model(torch.randn(2, 3, 33, 50)))


@pytest.mark.parametrize('pattern', [('M', 'M', 'M'), ('M', 'M', '', 'A'), ('M', 'M', 'MX', 'A')], ids=str)
def test_wrong_patterns_are_named(pattern):
    with pytest.raises(ValueError, match='pattern'):
        CASE.build(pattern=pattern)


def official(name):
    return golden.checkpoint(golden.read('smt_t')), golden.read('smt_t')['cases'][0], SMT('tiny', **name).eval()


def assert_agrees(model, case):
    with torch.inference_mode():
        golden.assert_agree(model.double()(golden.case_input(case).double()), case, 1e-6)


def test_imagenet_names_and_classifier():
    """The authors' ImageNet checkpoints have another name for the convolution of the values, and a classifier."""
    state, case, model = official({})
    renamed = {name.replace('attn.dw_conv.', 'attn.local_conv.'): tensor for name, tensor in state.items()}
    assert set(renamed) != set(state)
    classifier = {'head.weight': torch.zeros(1000, 512), 'head.bias': torch.zeros(1000)}
    report = load_official(model, dict(model=renamed | classifier))
    assert report.dropped == list(classifier)
    assert_agrees(model, case)


def test_layer_scale_in_the_file():
    state, case, model = official(dict(layer_scale_init_value=1e-4))
    with pytest.raises(ValueError, match='layer_scale1'):
        load_official(model, state)
    scales = {name.replace('norm', 'gamma_').removesuffix('.weight'): torch.ones_like(tensor)
              for name, tensor in state.items() if '.norm' in name and 'block' in name and name.endswith('.weight')}
    load_official(model, state | scales)
    assert_agrees(model, case)
    with pytest.raises(ValueError, match='layer_scale2'):
        load_official(SMT('tiny'), state | scales)


def test_half_of_a_joined_tensor_is_missing():
    state, _, model = official({})
    del state['block1.0.attn.s.weight']
    with pytest.raises(ValueError, match=r'of another shape.*to_value_and_scales\.weight \(64, 64\) for \(128, 64\)'):
        load_official(model, state)


def test_layer_scale_starts_at_the_given_value():
    model = CASE.build(layer_scale_init_value=1e-5)
    assert torch.equal(model.stages[0].blocks[0].layer_scale1.weight, torch.full((32,), 1e-5))


def modulated(module, x):
    """The paper's equations one by one, on (B, C, H, W)."""
    weight, bias = module.to_value_and_scales.weight[:, :, None, None], module.to_value_and_scales.bias
    dims = x.shape[1]
    value, scales = F.conv2d(x, weight[:dims], bias[:dims]), F.conv2d(x, weight[dims:], bias[dims:])
    heads = [conv(head) for conv, head in zip(module.convs.convs, scales.chunk(len(module.convs.convs), 1))]
    groups = [torch.stack([head[:, g] for head in heads], 1) for g in range(heads[0].shape[1])]
    widen = module.aggregation.widen
    wide = widen.norm(F.conv2d(torch.cat(groups, 1), widen.conv.weight, widen.conv.bias, groups=len(groups)))
    modulator = module.aggregation.mix(F.gelu(wide))
    return F.conv2d(value * modulator, module.proj.weight[:, :, None, None], module.proj.bias)


@pytest.mark.parametrize('training', [False, True], ids=['eval', 'train'])
@pytest.mark.parametrize('num_heads', [1, 2, 4])
def test_modulation_is_the_papers(training, num_heads):
    module = MODELS.build(dict(type='mmvisattn.ScaleAwareModulation', dims=16, num_heads=num_heads)).train(training)
    x = torch.randn(2, 16, 7, 11)
    torch.testing.assert_close(module(x), modulated(module, x), atol=1e-5, rtol=1e-5)


def test_modulation_serves_any_map():
    module = ScaleAwareModulation(12, num_heads=3).eval()
    for size in ((1, 1), (3, 20)):
        assert module(torch.randn(2, 12, *size)).shape == (2, 12, *size)
    with pytest.raises(ValueError, match='dims=10'):
        ScaleAwareModulation(10, num_heads=4)


def test_inference_in_chunks_changes_nothing(monkeypatch):
    model, x = CASE.build().eval(), torch.randn(2, 3, 96, 132)
    with torch.inference_mode():
        expected = model(x)
        monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 5000)
        assert len(chunks.chunks_of(x, [model], dim=2, elements_each=100)) > 1
        for output, whole in zip(model(x), expected):
            torch.testing.assert_close(output, whole, atol=1e-5, rtol=1e-5)
        with torch.autocast('cpu', torch.bfloat16):
            assert all(output.isfinite().all() for output in model(x))


def test_batch_statistics_are_those_of_the_whole_batch(monkeypatch):
    """Also without gradients, as when statistics are estimated again, and for chunks of any size."""
    whole = ScaleAwareModulation(16).train()
    parts, x = copy.deepcopy(whole), torch.randn(2, 16, 9, 5)
    whole(x)
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 100)
    with torch.no_grad():
        parts(x)
    torch.testing.assert_close(parts.aggregation.widen.norm.running_var, whole.aggregation.widen.norm.running_var)


def test_fused_attention_is_that_with_an_explicit_matrix():
    """Values and gradients agree with the MATH backend."""
    module, x = GlobalAttention(32, 4), torch.randn(2, 32, 6, 9, requires_grad=True)
    with sdpa_kernel(SDPBackend.MATH):
        expected = module(x)
    grad, = torch.autograd.grad(expected.square().sum(), x)
    fused = module(x)
    torch.testing.assert_close(fused, expected)
    torch.testing.assert_close(torch.autograd.grad(fused.square().sum(), x)[0], grad, atol=1e-4, rtol=1e-4)
