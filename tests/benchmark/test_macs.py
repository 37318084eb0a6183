"""Multiply-adds are those that a run makes, whatever the device."""
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.cases import BACKBONES
from helpers.uninitialized import Uninitialized
from mmengine.config import Config
from mmengine.registry import MODELS
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


@pytest.mark.parametrize('name, config', [
    ('swin-tiny', 'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512'),
    ('mit-b0', 'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512'),
    ('mit-b2', 'segformer/segformer_mit-b2_8xb2-160k_ade20k-512x512'),
    ('mscan-small', 'segnext/segnext_mscan-s_1xb16-adamw-160k_ade20k-512x512'),
    ('pidnet-small', 'pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes'),
    ('mobilenetv2', 'mobilenet_v2/mobilenet-v2-d8_fcn_4xb4-160k_ade20k-512x512')])
def test_peers_are_those_of_mmsegs_configs(name, config):
    configs = Path(pytest.importorskip('mmseg').__file__).parent / '.mim/configs'
    backbone = dict(Config.fromfile(configs / f'{config}.py').model.backbone, init_cfg=None)
    with Uninitialized():
        expected, peer = MODELS.build(dict(backbone, type=f'mmseg.{backbone["type"]}')), build(name)
    assert {k: v.shape for k, v in peer.state_dict().items()} == {k: v.shape for k, v in expected.state_dict().items()}


def test_the_products_of_attention_are_counted():
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.zeros(1, 10, 8)
    # Queries, keys, values and the projection, and the two products of 10 queries with 10 keys.
    assert count_calls(lambda: attention(x, x, x, need_weights=False)) == 4 * 10 * 8 * 8 + 2 * 10 * 10 * 8


def test_resnet_50_has_the_published_count():
    """4.1 G with its classifier of 2 M (He et al., CVPR 2016, give 3.8 G for strides in the first convolutions)."""
    pytest.importorskip('mmseg')
    assert count_macs(build("mmseg.ResNet(depth=50, style='caffe')"), 'backbone', 224, 224) == pytest.approx(3.8e9, rel=0.02)
