"""Tests that are specific to TopFormer."""
import pytest
import torch
from helpers.cases import BACKBONES

from mmvisattn.models import SemanticInjection, SemanticsExtractor, TopFormer
from mmvisattn.models.topformer.semantics_extractor import pyramid_pooling


@pytest.mark.parametrize('arch, injected, millions', [('tiny', 128, 1.37), ('small', 192, 2.97), ('base', 256, 4.96)])
def test_parameters(arch, injected, millions):
    model = TopFormer(arch)
    neck = SemanticInjection(model.out_channels[:4], injected)
    count = sum(p.numel() for part in (model, neck) for p in part.parameters())
    assert round(count / 1e6, 2) == millions


def test_pyramid_pooling_halves_the_last_map():
    maps = [torch.randn(2, 3, 17, 25), torch.randn(2, 5, 5, 7)]
    pooled = pyramid_pooling(maps)
    assert pooled.shape == (2, 8, 3, 4)
    torch.testing.assert_close(pooled[:, 3:, 0, 0], maps[1][:, :, :2, :2].mean((2, 3)))


@pytest.mark.parametrize('stride', [32, 64])
def test_the_stride_of_the_semantics_map(stride):
    with torch.inference_mode():
        semantics, = TopFormer(semantics_stride=stride, out_indices=(4,)).eval()(torch.randn(1, 3, 129, 192))
    assert semantics.shape == (1, 208, -(-129 // stride), 192 // stride)
    with pytest.raises(ValueError, match='semantics_stride=16'):
        TopFormer(semantics_stride=16)


def test_scale_attention_divides_the_logits():
    """Scaled attention is unscaled attention with queries multiplied by a quarter (16 ** -0.5)."""
    scaled = SemanticsExtractor(24, num_heads=2, num_blocks=1, scale_attention=True).eval()
    plain = SemanticsExtractor(24, num_heads=2, num_blocks=1).eval()
    plain.load_state_dict(scaled.state_dict())
    x = 3 * torch.randn(1, 24, 4, 4)
    with torch.no_grad():
        assert not torch.allclose(scaled(x), plain(x), atol=1e-4)
        plain.blocks[0].attn.to_q.norm.weight.mul_(0.25)
        plain.blocks[0].attn.to_q.norm.bias.mul_(0.25)
        torch.testing.assert_close(scaled(x), plain(x))


@pytest.mark.parametrize('norm', ['BN', 'SyncBN'])
def test_transformer_blocks_start_as_identity(norm):
    model = TopFormer('tiny', norm_cfg=dict(type=norm))
    model.init_weights()
    assert all(not block.attn.proj.norm.weight.any() for block in model.extractor.blocks)
    assert model.stem.norm.weight.eq(1).all()


def test_norm_cfg_reaches_every_norm():
    model = BACKBONES['TopFormer'].build(norm_cfg=dict(type='GN', num_groups=4))
    kinds = {type(m).__name__ for m in model.modules() if type(m).__name__.endswith('Norm')}
    assert kinds == {'GroupNorm'}
    assert model(torch.randn(1, 3, 64, 64))[-1].isfinite().all()
