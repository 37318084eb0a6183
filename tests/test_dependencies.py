"""The package without some of its dependencies: each process hides some packages."""
import pytest
from helpers.reduced import ROOT

from mmvisattn.dependencies import _is_openmmlab

HIDE = 'import sys\nfor name in {hidden!r}: sys.modules[name] = None\n'
BUILD = """
import torch
from mmengine.registry import MODELS
model = MODELS.build(dict(type='mmvisattn.TopFormer'))
neck = MODELS.build(dict(type='mmvisattn.SemanticInjection'))
assert len(neck(model(torch.randn(2, 3, 32, 32)))) == 3
"""


@pytest.mark.parametrize('hidden', [
    pytest.param(['mmseg'], marks=pytest.mark.slow), pytest.param(['mmdet'], marks=pytest.mark.slow), ['mmseg', 'mmdet'],
    ['mmcv._ext']], ids='+'.join)
def test_backbones_build_without(run_apart, hidden):
    done = run_apart('-c', HIDE.format(hidden=hidden) + BUILD)
    assert done.returncode == 0, done.stderr


def assert_named(done, package, extra):
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert f"needs the package '{package}'" in last and f"pip install 'mmvisattn[{extra}]'" in last


@pytest.mark.parametrize('hidden, code, extra', [
    ('mmcv', 'import mmvisattn.models', 'seg'),
    ('mmseg', "from mmengine.registry import MODELS; MODELS.build(dict(type='mmvisattn.SimpleHead'))", 'seg'),
    ('mmseg', "from mmengine.registry import DATASETS; DATASETS.build(dict(type='mmvisattn.CamVidDataset'))", 'seg'),
    ('mmdet', "from mmengine.registry import DATASETS; DATASETS.build(dict(type='mmvisattn.BloodCellDataset'))", 'det'),
], ids=['mmcv', 'head', 'data set', 'boxes'])
def test_what_is_missing_is_named_with_the_command(run_apart, hidden, code, extra):
    assert_named(run_apart('-c', HIDE.format(hidden=[hidden]) + code), hidden, extra)


def test_mmengine_is_named_with_the_command(run_afresh):
    assert_named(run_afresh('-c', HIDE.format(hidden=['mmengine']) + 'import mmvisattn.registry'), 'mmengine', 'seg')


SEGMENTOR = 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'
DETECTOR = 'configs/topformer/topformer-tiny_fcos_1xb8-40e_miniature-coco.py'
TRAIN = """
import runpy
sys.argv = {argv!r}
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def train(run_apart, hidden, *arguments, tool='train.py'):
    """What is told by a tool in an environment without some packages."""
    argv = [str(ROOT / 'tools' / tool), *map(str, arguments)]
    done = run_apart('-c', HIDE.format(hidden=hidden) + TRAIN.format(argv=argv))
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


def test_data_sets_for_detection_name_the_command_that_builds_the_operators(run_apart):
    build = "from mmengine.registry import DATASETS; DATASETS.build(dict(type='mmvisattn.BloodCellDataset'))"
    done = run_apart('-c', HIDE.format(hidden=['mmcv._ext']) + build)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0 and 'BloodCellDataset needs' in last
    assert 'make setup-full' in last and 'pip install --no-build-isolation' in last


@pytest.mark.parametrize('hidden, words', [
    (['mmdet', 'mmcv._ext'], ("needs the package 'mmdet'", "pip install 'mmvisattn[det]'")),
    (['mmcv._ext'], ("needs mmcv's compiled operators", 'pip install --no-build-isolation'))], ids='+'.join)
def test_training_a_detector_names_the_command(run_apart, hidden, words):
    told = train(run_apart, hidden, ROOT / DETECTOR)
    assert told.startswith('error: the config needs') and 'make setup-full' in told
    assert all(word in told for word in words)


def test_predicting_with_a_detector_names_the_command(run_apart):
    told = train(run_apart, ['mmcv._ext'], ROOT / 'README.md', '--model', 'detection', tool='predict.py')
    assert told.startswith('error: detection needs') and 'make setup-full' in told


@pytest.mark.skipif(_is_openmmlab(), reason="all of OpenMMLab's last mmsegmentation imports the operators")
@pytest.mark.parametrize('option, part', [
    ('model.decode_head.type=PSAHead', 'PSAHead'), ('model.decode_head.conv_cfg.type=mmcv.DCN', 'DCN')])
def test_a_segmentor_with_operators_names_the_command(run_apart, option, part):
    told = train(run_apart, ['mmdet', 'mmcv._ext'], ROOT / SEGMENTOR, '--cfg-options', option)
    assert told.startswith(f'error: {part} in the config needs') and 'make setup-full' in told


def test_importing_the_package_is_light(run_afresh):
    done = run_afresh('-c', "import sys, mmvisattn; print([m for m in ('torch', 'numpy', 'mmengine') if m in sys.modules])")
    assert done.stdout.strip() == '[]'
