"""Every model against what its authors released, loaded as their checkpoints would be."""
import golden
import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from mmvisattn.weights import load_official

TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-3}


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


def backbone(name: str, arch: str):
    return MODELS.build(dict(type=f'mmvisattn.{name}', arch=arch))


def restormer(**kwargs):
    return MODELS.build(dict(type='mmvisattn.Restormer', **kwargs))


MODELS_OF_RECORDINGS = {
    'crossformer_t': lambda: backbone('CrossFormer', 'tiny'),
    'crossformer_s': lambda: backbone('CrossFormer', 'small'),
    'crossformer_b': lambda: backbone('CrossFormer', 'base'),
    'crossformer_l': lambda: backbone('CrossFormer', 'large'),
    'crossformer_pp_s': lambda: backbone('CrossFormer', 'pp-small'),
    'restormer_restormer': lambda: restormer(),
    'restormer_restormer_biasfree': lambda: restormer(norm='bias_free'),
    'restormer_restormer_gray_biasfree': lambda: restormer(in_channels=1, out_channels=1, norm='bias_free'),
    'restormer_restormer_dual_pixel': lambda: restormer(in_channels=6, dual_pixel=True),
    'restormer_restormer_small': lambda: restormer(embed_dims=24, depths=(2, 2, 2, 3), num_refinement_blocks=2),
    'smt_t': lambda: backbone('SMT', 'tiny'),
    'smt_s': lambda: backbone('SMT', 'small'),
    'smt_b': lambda: backbone('SMT', 'base'),
    'smt_l': lambda: backbone('SMT', 'large'),
    'topformer_t': lambda: topformer('tiny', [16, 32, 64, 96], 128),
    'topformer_s': lambda: topformer('small', [24, 48, 96, 128], 192),
    'topformer_b': lambda: topformer('base', [32, 64, 128, 160], 256),
}


@pytest.mark.parametrize('name', MODELS_OF_RECORDINGS)
def test_agrees_with_the_recording(name):
    recording = golden.read(name)
    model = MODELS_OF_RECORDINGS[name]().eval()
    report = load_official(model, golden.checkpoint(recording))
    assert sum(p.numel() for p in model.parameters()) == recording['params']
    assert len(report.loaded) == len(model.state_dict()) and not report.absent
    for dtype, tolerance in TOLERANCES.items():
        model.to(dtype)
        for case in recording['cases']:
            with torch.inference_mode():
                outputs = model(golden.case_input(case).to(dtype))
                golden.assert_agree([outputs] if torch.is_tensor(outputs) else outputs, case, tolerance)


def test_all_recordings_of_the_families_are_used():
    families = {name.split('_')[0] for name in MODELS_OF_RECORDINGS}
    recorded = {path.stem for path in golden.FOLDER.glob('*.json') if path.stem.split('_')[0] in families}
    assert recorded == set(MODELS_OF_RECORDINGS) and len(recorded) == 17
