"""Tests that are specific to Restormer: blocks against their definition, any size, half precision, encoder and neck."""
import copy

import pytest
import torch
import torch.nn.functional as F
from helpers import golden
from helpers.cases import BACKBONES
from mmengine.registry import MODELS
from torch import nn

from mmvisattn.layers import chunks
from mmvisattn.models import GDFN, MDTA, Restormer, RestormerBlock
from mmvisattn.models.restormer.block import ChannelNorm
from mmvisattn.restoration.dncnn import DnCNN
from mmvisattn.weights import load_official

TINY = dict(embed_dims=8, depths=(1, 1, 1, 1), num_refinement_blocks=1, num_heads=(1, 2, 2, 4))


def tiny(**kwargs):
    return Restormer(**dict(TINY, **kwargs)).eval()


def mdta(module, x):
    """The paper's equations one by one: normalize, attend, project."""
    q, k, v = module.qkv_dwconv(module.qkv(x)).chunk(3, 1)
    q, k, v = (part.unflatten(1, (module.num_heads, -1)).flatten(3) for part in (q, k, v))
    attention = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT * module.temperature).softmax(-1)
    return module.proj((attention @ v).flatten(1, 2).view_as(x))


@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('size', [(9, 13), (1, 1)], ids=str)
def test_transposed_attention_is_the_papers(bias, size):
    module, x = MDTA(12, 3, bias), torch.randn(2, 12, *size, requires_grad=True)
    nn.init.normal_(module.temperature)
    expected = mdta(module, x)
    torch.testing.assert_close(module(x), expected, atol=1e-5, rtol=1e-4)
    weight = torch.randn_like(expected)
    torch.testing.assert_close(*(torch.autograd.grad((y * weight).sum(), x)[0] for y in (module(x), expected)),
                               atol=1e-4, rtol=1e-3)


def test_a_map_of_zeros_is_finite():
    assert MDTA(8, 2)(torch.zeros(1, 8, 5, 5)).isfinite().all()


def test_gated_feed_forward_is_the_papers():
    module, x = GDFN(10, 2.66), torch.randn(2, 10, 7, 5)
    assert module.proj.in_channels == 26
    a, b = module.dwconv(module.project_in(x)).chunk(2, 1)
    torch.testing.assert_close(module(x), module.proj(F.gelu(a) * b))


@pytest.mark.parametrize('kind', ['with_bias', 'bias_free'])
def test_norms(kind):
    norm, x = ChannelNorm(6, kind), torch.randn(2, 6, 4, 3) * 3 + 1
    nn.init.normal_(norm.weight)
    mean, deviation = x.mean(1, keepdim=True), (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    weight = norm.weight[:, None, None]
    expected = (x - mean) / deviation * weight if kind == 'with_bias' else x / deviation * weight
    torch.testing.assert_close(norm(x), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="norm='batch'"):
        ChannelNorm(6, 'batch')


@pytest.mark.parametrize('norm', ['with_bias', 'bias_free'])
def test_inference_in_chunks_changes_nothing(norm, monkeypatch):
    block, x = RestormerBlock(12, 3, norm=norm).eval(), torch.randn(2, 12, 37, 10)
    with torch.inference_mode():
        whole = block(x)
        for elements in (200, 2000, 20000):
            monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', elements)
            torch.testing.assert_close(block(x), whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('size', [(1, 1), (3, 9), (8, 8), (17, 30), (7, 64)], ids=str)
def test_any_size(size):
    model = tiny()
    image = torch.rand(2, 3, *size)
    with torch.inference_mode():
        restored = model(image)
        assert restored.shape == image.shape and restored.isfinite().all()
        padded = F.pad(image, (0, -size[1] % 8, 0, -size[0] % 8),
                       mode='reflect' if all(-side % 8 < side for side in size) else 'replicate')
        torch.testing.assert_close(restored, model(padded)[..., :size[0], :size[1]])


@pytest.mark.parametrize('settings', [{}, dict(in_channels=6, dual_pixel=True)], ids=['plain', 'dual_pixel'])
def test_an_empty_batch_gives_an_empty_batch(settings):
    model = tiny(**settings)
    restored = model(torch.rand(0, model.in_channels, 17, 30))
    assert restored.shape == (0, 3, 17, 30)
    restored.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('x, named', [(torch.rand(3, 16, 16), r'x\[None\]'), (torch.zeros(1, 3, 16, 16).byte(), 'uint8')],
                         ids=['no batch', 'bytes'])
@pytest.mark.parametrize('model', [tiny(), DnCNN(dims=4, depth=3)], ids=lambda model: type(model).__name__)
def test_what_is_no_batch_of_images_is_explained(model, x, named):
    with pytest.raises(ValueError, match=named):
        model(x)


def test_channels():
    with torch.inference_mode():
        assert tiny(in_channels=1, out_channels=1)(torch.rand(1, 1, 16, 16)).shape == (1, 1, 16, 16)
        assert tiny(in_channels=6, dual_pixel=True)(torch.rand(1, 6, 16, 16)).shape == (1, 3, 16, 16)
    with pytest.raises(ValueError, match='in_channels=6'):
        tiny(in_channels=6)
    with pytest.raises(ValueError, match='in_channels=3'):
        tiny()(torch.rand(1, 1, 16, 16))
    with pytest.raises(ValueError, match='num_heads'):
        tiny(num_heads=(1, 2))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('norm', ['with_bias', 'bias_free'])
def test_half_precision(dtype, norm):
    model, image = tiny(norm=norm), torch.rand(1, 3, 40, 24)
    with torch.inference_mode():
        exact = model(image)
        with torch.autocast('cpu', dtype):
            assert (model(image).float() - exact).abs().mean() < 0.02
        whole = copy.deepcopy(model).to(dtype)(image.to(dtype))
        assert whole.dtype == dtype and (whole.float() - exact).abs().mean() < 0.02


def test_sums_over_millions_of_pixels_are_finite_in_half_precision():
    """A sum of squares over 2048 x 2048 pixels exceeds the range of float16 many times."""
    module, x = MDTA(2, 1).eval(), 8 * torch.randn(1, 2, 2048, 2048)
    with torch.inference_mode():
        exact = module(x)
        with torch.autocast('cpu', torch.float16):
            rounded = module(x)
    assert rounded.isfinite().all()
    assert (rounded.float() - exact).abs().mean() < 0.02 * exact.std()


def test_recomputed_activations_give_the_same_gradients():
    plain = tiny().train()
    recomputing = tiny(with_cp=True).train()
    recomputing.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 24, 16)
    for model in (plain, recomputing):
        model(image).square().mean().backward()
    for p, q in zip(plain.parameters(), recomputing.parameters()):
        torch.testing.assert_close(p.grad, q.grad)


@pytest.mark.no_cover  # as in test_contract.py
@pytest.mark.parametrize('sizes', [
    [(24, 40)], pytest.param([(16, 16), (24, 40)], marks=pytest.mark.slow)], ids=['one size', 'two sizes'])
def test_compiles_as_one_graph(sizes):
    model = tiny()
    compiled = torch.compile(model, fullgraph=True, backend='eager')
    with torch.inference_mode():
        for size in sizes:
            image = torch.rand(1, 3, *size)
            torch.testing.assert_close(compiled(image), model(image), atol=1e-5, rtol=1e-5)


def test_the_encoder_loads_the_encoder_of_a_whole_restormer():
    recording = golden.read('restormer_restormer_small')
    state = golden.checkpoint(recording)
    whole = Restormer(embed_dims=24, depths=(2, 2, 2, 3), num_refinement_blocks=2)
    load_official(whole, dict(params=state))
    encoder = MODELS.build(dict(type='mmvisattn.RestormerEncoder', arch='small'))
    report = load_official(encoder, dict(params=state))
    assert len(report.loaded) + len(report.dropped) == len(state)
    for name, tensor in whole.encoder.state_dict().items():
        torch.testing.assert_close(encoder.state_dict()[name], tensor, atol=0, rtol=0)


def test_the_neck_refines_any_pyramid():
    backbone = BACKBONES['SMT'].build().eval()
    neck = MODELS.build(dict(type='mmvisattn.MDTANeck', in_channels=[32, 64, 128, 256], num_blocks=2))
    maps = backbone(torch.randn(2, 3, 65, 90))
    refined = neck(maps)
    assert [x.shape for x in refined] == [x.shape for x in maps]
    sum(x.square().mean() for x in refined).backward()
    assert all(p.grad is not None for p in neck.parameters())
    with pytest.raises(ValueError, match='3 maps for 4'):
        neck(maps[:3])
    with pytest.raises(ValueError, match='num_heads'):
        MODELS.build(dict(type='mmvisattn.MDTANeck', in_channels=[32, 64], num_heads=[1, 2, 4]))
