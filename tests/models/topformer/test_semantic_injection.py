"""Semantic injection, against its formula."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS

from mmvisattn.models.topformer.semantic_injection import resize_bilinear

CHANNELS = [8, 12, 16]


def build(**kwargs):
    neck = MODELS.build(dict(type='mmvisattn.SemanticInjection', in_channels=CHANNELS, out_channels=10, **kwargs))
    for p in neck.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return neck.eval()


def maps(with_semantics=True):
    levels = [torch.randn(2, c, 16 // s, 12 // s) for c, s in zip(CHANNELS, (1, 2, 4))]
    return [*levels, torch.randn(2, sum(CHANNELS), 2, 2)] if with_semantics else levels


def embed(module, x, relu=False):
    x = module.conv(x)
    x = module.norm(x) if module.with_norm else x
    return x.relu() if relu else x


@pytest.mark.parametrize('fusion', ['gated_sum', 'gated_sum_relu', 'sum', 'product'])
def test_published_fusions(fusion):
    neck = build(fusion=fusion, injected_levels=(1, 2))
    inputs = maps()
    relu = fusion == 'gated_sum_relu'
    semantics = inputs[-1].split(CHANNELS, dim=1)
    outputs = neck(inputs)
    assert len(outputs) == 2
    for output, level, part in zip(outputs, (1, 2), neck.injections):
        def up(x, size=inputs[level].shape[-2:]):
            return F.interpolate(x, size, mode='bilinear', align_corners=False)
        expected = embed(part.local_embedding, inputs[level], relu)
        if fusion != 'sum':
            expected = expected * up(F.relu6(embed(part.global_gate, semantics[level]) + 3) / 6)
        if fusion != 'product':
            expected = expected + up(embed(part.global_embedding, semantics[level], relu))
        torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('size', [(8, 8), (16, 12), (5, 3), (1, 7), (2, 2)])
def test_bilinear_resizing_is_torchs(size):
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(resize_bilinear(x, size), F.interpolate(x, size, mode='bilinear', align_corners=False))


def test_gradients_are_exact_in_double_precision():
    """The gradient of torch's hard sigmoid has an error of 3e-8; with it, whole TopFormers had an error of 1e-9."""
    neck = build(injected_levels=(1, 2)).double()
    x = torch.linspace(-4, 4, 50, dtype=torch.float64, requires_grad=True)
    neck.injections[0].gate(x).sum().backward()
    torch.testing.assert_close(x.grad, (x.abs() < 3).double() / 6, atol=1e-16, rtol=0)


def test_the_gate_of_relu_embeddings_has_a_bias_and_no_norm():
    gate = build(fusion='gated_sum_relu', injected_levels=(1,)).injections[0].global_gate
    assert sorted(gate.state_dict()) == ['conv.bias', 'conv.weight']


def test_extracts_semantics_behind_a_plain_pyramid():
    neck = build(injected_levels=(0, 1, 2), semantics_extractor=dict(num_heads=2, num_blocks=1)).train()
    inputs = [x.requires_grad_() for x in maps(with_semantics=False)]
    outputs = neck(inputs)
    assert [tuple(x.shape) for x in outputs] == [(2, 10, 16, 12), (2, 10, 8, 6), (2, 10, 4, 3)]
    sum(x.square().sum() for x in outputs).backward()
    assert all(x.grad.abs().sum() > 0 for x in inputs)
    assert all(p.grad is not None for p in neck.parameters())


def test_leaves_its_inputs_alone():
    neck, inputs = build(injected_levels=(0, 1)), maps()
    before = [x.clone() for x in inputs]
    neck(inputs)
    for x, y in zip(inputs, before):
        torch.testing.assert_close(x, y, atol=0, rtol=0)


@pytest.mark.parametrize('kwargs, named', [(dict(fusion='magic'), 'magic'), (dict(injected_levels=(3,)), 'injected_levels')])
def test_wrong_arguments_are_named(kwargs, named):
    with pytest.raises(ValueError, match=named):
        build(**kwargs)


def test_a_missing_semantics_map_is_explained():
    with pytest.raises(ValueError, match='semantics_extractor'):
        build(injected_levels=(1,))(maps(with_semantics=False))
