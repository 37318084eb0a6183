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
