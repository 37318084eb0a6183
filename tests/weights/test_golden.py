"""Every model against a recording of the released code, loaded like an official checkpoint."""
import pytest
import torch
from helpers import golden
from helpers.reduced import ROOT
from helpers.uninitialized import Uninitialized
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmvisattn.weights import load_official
from mmvisattn.without_torchvision import import_mmpretrain

TOLERANCES = {torch.float32: 1e-3, torch.float64: 1e-6}


class WithNeck(nn.Module):
    """Backbone and neck, as a segmentor holds them."""

    def __init__(self, backbone: dict, neck: dict):
        super().__init__()
        self.backbone, self.neck = MODELS.build(backbone), MODELS.build(neck)

    def forward(self, x):
        return self.neck(self.backbone(x))


def topformer(arch: str, in_channels: list[int], out_channels: int) -> WithNeck:
    return WithNeck(
        dict(type='mmvisattn.TopFormer', arch=arch),
        dict(type='mmvisattn.SemanticInjection', in_channels=in_channels, out_channels=out_channels))


def segmentor(arch: str, in_channels: list[int], out_channels: int):
    pytest.importorskip('mmseg')
    return MODELS.build(dict(
        type='mmseg.EncoderDecoder',
        backbone=dict(type='mmvisattn.TopFormer', arch=arch),
        neck=dict(type='mmvisattn.SemanticInjection', in_channels=in_channels, out_channels=out_channels),
        decode_head=dict(
            type='mmvisattn.SimpleHead', in_channels=[out_channels] * 3, in_index=[0, 1, 2], channels=out_channels,
            depthwise=arch == 'tiny', num_classes=150, norm_cfg=dict(type='BN'))))


def backbone(name: str, arch: str, **kwargs):
    return MODELS.build(dict(type=f'mmvisattn.{name}', arch=arch, **kwargs))


def squares(arch: str):
    return backbone('CrossFormer', arch, lda_scope='square')


def restormer(**kwargs):
    return MODELS.build(dict(type='mmvisattn.Restormer', **kwargs))


class Classifier(nn.Module):
    """A classifier of a config; it gives pooled features and logits."""

    def __init__(self, config: str):
        pytest.importorskip('mmpretrain')
        super().__init__()
        import_mmpretrain()
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            self.model = MODELS.build(Config.fromfile(ROOT / 'configs' / config).model)

    def forward(self, x):
        return self.model.extract_feat(x, stage='pre_logits'), self.model(x)


MODELS_OF_RECORDINGS = {
    'crossformer_t': lambda: squares('tiny'),
    'crossformer_s': lambda: squares('small'),
    'crossformer_b': lambda: squares('base'),
    'crossformer_l': lambda: squares('large'),
    'crossformer_pp_s': lambda: squares('pp-small'),
    'crossformer_dense_s': lambda: backbone('CrossFormer', 'small'),
    'crossformer_dense_s_g14': lambda: backbone(
        'CrossFormer', 'small', group_size=(14, 14, 7, 7), interval=(16, 8, 2, 1)),
    'crossformer_dense_b': lambda: backbone('CrossFormer', 'base'),
    'crossformer_imagenet_t': lambda: Classifier('crossformer/crossformer-tiny_8xb128_in1k.py'),
    'crossformer_imagenet_pp_s': lambda: Classifier('crossformer/crossformer-pp-small_8xb128_in1k.py'),
    'restormer_restormer': lambda: restormer(),
    'restormer_restormer_biasfree': lambda: restormer(norm='bias_free'),
    'restormer_restormer_gray_biasfree': lambda: restormer(in_channels=1, out_channels=1, norm='bias_free'),
    'restormer_restormer_dual_pixel': lambda: restormer(in_channels=6, dual_pixel=True),
    'restormer_restormer_small': lambda: restormer(embed_dims=24, depths=(2, 2, 2, 3), num_refinement_blocks=2),
    'smt_t': lambda: backbone('SMT', 'tiny'),
    'smt_s': lambda: backbone('SMT', 'small'),
    'smt_b': lambda: backbone('SMT', 'base'),
    'smt_l': lambda: backbone('SMT', 'large', layer_scale_init_value=0.0),
    'smt_imagenet_t': lambda: Classifier('smt/smt-tiny_8xb128_in1k.py'),
    'smt_imagenet_l': lambda: Classifier('smt/smt-large_in22k-pre_8xb128_in1k.py'),
    'topformer_t': lambda: topformer('tiny', [16, 32, 64, 96], 128),
    'topformer_s': lambda: topformer('small', [24, 48, 96, 128], 192),
    'topformer_b': lambda: topformer('base', [32, 64, 128, 160], 256),
    'topformer_segmentor_t': lambda: segmentor('tiny', [16, 32, 64, 96], 128),
    'topformer_segmentor_b': lambda: segmentor('base', [32, 64, 128, 160], 256),
}


def load(model: nn.Module, recording: dict):
    """Load the recording's weights as its authors publish them; returns the report."""
    state = golden.checkpoint(recording)
    return load_official(model.model, dict(model=state)) if isinstance(model, Classifier) else load_official(model, state)


# Large models of which a smaller one differs in numbers alone.
LARGE = ['crossformer_b', 'crossformer_l', 'crossformer_dense_b', 'restormer_restormer', 'restormer_restormer_biasfree',
         'smt_b', 'smt_l', 'smt_imagenet_l']


# Convolutions of float64 take most of their time.
SLOW_IN_FLOAT64 = ['restormer_restormer_dual_pixel', 'restormer_restormer_gray_biasfree']


@pytest.mark.parametrize('name, dtypes', [
    *(pytest.param(name, [torch.float32], id=f'{name}-float32') for name in SLOW_IN_FLOAT64),
    *(pytest.param(name, list(TOLERANCES), id=name, marks=[pytest.mark.slow] * (name in LARGE + SLOW_IN_FLOAT64))
      for name in MODELS_OF_RECORDINGS)])
def test_agrees_with_the_recording(name, dtypes):
    recording = golden.read(name)
    with Uninitialized():
        model = MODELS_OF_RECORDINGS[name]().eval()
    report = load(model, recording)
    assert sum(p.numel() for p in model.parameters()) == recording['params']
    assert len(report.loaded) == len(model.state_dict()) and not report.absent
    for dtype in dtypes:
        model.to(dtype)
        for case in recording['cases'] if dtype is torch.float64 else recording['cases'][:1]:
            with torch.inference_mode():
                outputs = model(golden.case_input(case).to(dtype))
                golden.assert_agree([outputs] if torch.is_tensor(outputs) else outputs, case, TOLERANCES[dtype])


def test_all_recordings_of_the_families_are_used():
    families = {name.split('_')[0] for name in MODELS_OF_RECORDINGS}
    recorded = {path.stem for path in golden.FOLDER.glob('*.json') if path.stem.split('_')[0] in families}
    assert recorded == set(MODELS_OF_RECORDINGS) and len(recorded) == 26
