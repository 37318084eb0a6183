"""Multiply-adds are those that a run makes, whatever the device."""
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from helpers.cases import BACKBONES
from torch import nn

from mmvisattn.benchmark.macs import count_calls, count_macs
from mmvisattn.benchmark.subjects import build, parts_of
from mmvisattn.models.topformer import semantic_injection


@pytest.mark.parametrize('case', BACKBONES.values(), ids=lambda case: case.type)
def test_backbones_as_run_on_this_device(case):
    model = case.build().eval()
    assert count_macs(model, 'backbone', 64, 96) == count_calls(partial(model, torch.zeros(1, 3, 64, 96))) > 0


@pytest.mark.parametrize('name', ['segmentation', 'restoration', 'mmseg.ResNet(depth=50)', 'swin-tiny', 'mit-b0'])
def test_whole_models_and_peers_as_run_on_this_device(name, monkeypatch):
    pytest.importorskip('mmseg')
    # An interpolation counts nothing, though on a CPU it is done by matrix products.
    monkeypatch.setattr(semantic_injection, 'resize_bilinear', partial(F.interpolate, mode='bilinear'))
    model = build(name)
    part = 'output' if 'output' in parts_of(model) else 'backbone'
    model.eval()
    assert count_macs(model, part, 64, 64) == count_calls(partial(parts_of(model)[part], torch.zeros(1, 3, 64, 64))) > 0


def test_the_products_of_attention_are_counted():
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.zeros(1, 10, 8)
    # Queries, keys, values and the projection, and the two products of 10 queries with 10 keys.
    assert count_calls(lambda: attention(x, x, x, need_weights=False)) == 4 * 10 * 8 * 8 + 2 * 10 * 10 * 8


def test_resnet_50_has_the_published_count():
    """4.1 G with its classifier of 2 M (He et al., CVPR 2016, give 3.8 G for strides in the first convolutions)."""
    pytest.importorskip('mmseg')
    assert count_macs(build("mmseg.ResNet(depth=50, style='caffe')"), 'backbone', 224, 224) == pytest.approx(3.8e9, rel=0.02)
