"""The package without parts of its environment: each process hides some packages."""
import pytest

HIDE = 'import sys\nfor name in {hidden!r}: sys.modules[name] = None\n'
BUILD = """
import torch
from mmengine.registry import MODELS
model = MODELS.build(dict(type='mmvisattn.TopFormer'))
neck = MODELS.build(dict(type='mmvisattn.SemanticInjection'))
assert len(neck(model(torch.randn(2, 3, 32, 32)))) == 3
"""


@pytest.mark.parametrize('hidden', [['mmseg'], ['mmdet'], ['mmseg', 'mmdet']], ids='+'.join)
def test_backbones_build_without(run_afresh, hidden):
    done = run_afresh('-c', HIDE.format(hidden=hidden) + BUILD)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('hidden, code, extra', [
    ('mmengine', 'import mmvisattn.registry', 'seg'),
    ('mmcv', 'import mmvisattn.models', 'seg'),
    ('mmseg', "from mmengine.registry import MODELS; MODELS.build(dict(type='mmvisattn.SimpleHead'))", 'seg'),
    ('mmseg', "from mmengine.registry import DATASETS; DATASETS.build(dict(type='mmvisattn.CamVidDataset'))", 'seg'),
], ids=['mmengine', 'mmcv', 'head', 'data set'])
def test_what_is_missing_is_named_with_the_command(run_afresh, hidden, code, extra):
    done = run_afresh('-c', HIDE.format(hidden=[hidden]) + code)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert f"needs the package '{hidden}'" in last and f"pip install 'mmvisattn[{extra}]'" in last


def test_importing_the_package_is_light(run_afresh):
    done = run_afresh('-c', "import sys, mmvisattn; print([m for m in ('torch', 'numpy', 'mmengine') if m in sys.modules])")
    assert done.stdout.strip() == '[]'
