"""The light head, through mmseg's own interface."""
import pytest
import torch
from mmengine.registry import MODELS

pytest.importorskip('mmseg')


def build(**kwargs):
    return MODELS.build(dict(dict(
        type='mmvisattn.SimpleHead', in_channels=[6, 6, 6], in_index=[0, 1, 2], channels=5, num_classes=4,
        norm_cfg=dict(type='BN'), align_corners=False), **kwargs))


def test_sums_at_the_size_of_the_first_map():
    head = build().eval()
    inputs = [torch.randn(2, 6, 8, 12), torch.randn(2, 6, 4, 6), torch.randn(2, 6, 2, 3)]
    before = [x.clone() for x in inputs]
    with torch.no_grad():
        logits = head(inputs)
        total = inputs[0] + sum(
            torch.nn.functional.interpolate(x, (8, 12), mode='bilinear', align_corners=False) for x in inputs[1:])
        torch.testing.assert_close(logits, head.conv_seg(head.fuse(total)))
    assert logits.shape == (2, 4, 8, 12)
    assert all(torch.equal(x, y) for x, y in zip(inputs, before))


def test_a_depthwise_head_scales_each_channel():
    head = build(depthwise=True, channels=6)
    assert head.fuse.conv.weight.shape == (6, 1, 1, 1)
    with pytest.raises(ValueError, match='depthwise=True.*channels=5'):
        build(depthwise=True, channels=5)


def test_unequal_channels_are_named():
    with pytest.raises(ValueError, match='in_channels'):
        build(in_channels=[6, 6, 8])


@pytest.mark.parametrize('training', [True, False])
def test_parameters_of_half_precision_beside_statistics_of_single_precision(training):
    """As FSDP's mixed precision leaves them."""
    head = build().train(training)
    for p in head.parameters():
        p.data = p.data.bfloat16()
    logits = head([torch.randn(2, 6, 8, 12, dtype=torch.bfloat16) for _ in range(3)])
    assert logits.dtype == torch.bfloat16 and logits.isfinite().all()


@pytest.mark.parametrize('name, settings', [
    ('SimpleHead', dict(in_channels=[6, 6], in_index=[0, 1], channels=5, num_classes=4, norm_cfg=dict(type='BN'))),
    ('SemanticInjection', dict(in_channels=[6], out_channels=4, injected_levels=(0,))),
    ('MDTANeck', dict(in_channels=[6, 6], num_heads=2))])
@pytest.mark.parametrize('x', [torch.zeros(6, 8, 8), torch.zeros(1, 6, 8, 8, dtype=torch.uint8)], ids=['no batch', 'uint8'])
def test_what_is_no_map_is_explained(name, settings, x):
    with pytest.raises(ValueError, match=f'{name} takes floating-point maps.*{x.dtype}'):
        MODELS.build(dict(settings, type=f'mmvisattn.{name}'))([x, x])
