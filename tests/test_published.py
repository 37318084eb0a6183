"""Every published model is the config that it stands beside: its parameters and multiply-adds are the published ones."""
import re
import subprocess
import sys

import pytest
import yaml
from counting import count
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from reduced import CONFIGS, ROOT, without_sync_bn

pytest.importorskip('mmdet')
INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())
PUBLISHED = {
    model['Name']: model for path in INDEX['Import'] for model in yaml.safe_load((ROOT / path).read_text())['Models']}


@pytest.fixture(autouse=True)
def scope():
    yield
    DefaultScope._instance_dict.clear()


def counted(name, *size):
    cfg = Config.fromfile(ROOT / PUBLISHED[name]['Config'])
    init_default_scope(cfg.default_scope)
    return count(without_sync_bn(cfg.model), *size)


def dense(family):
    """The published segmentors and detectors of a family, with their parameters and multiply-adds."""
    return [pytest.param(name, model['Metadata']['Parameters (M)'], model['Metadata']['MACs (G)'], id=name)
            for name, model in PUBLISHED.items()
            if name.startswith(family) and 'Config' in model and 'MACs (G)' in model['Metadata']]


def as_published(value, published):
    """Equal to 0.5 %, or in the digits that are published."""
    unit = 1.0 if isinstance(published, int) else 0.1
    return abs(value - published) <= max(0.005 * published, unit / 2)


@pytest.mark.parametrize('name, parameters, macs', dense('crossformer'))
def test_crossformer(name, parameters, macs):
    found = counted(name, *((1024, 1024) if 'ade20k' in name else (800, 1280)))
    assert as_published(found.parameters, parameters)
    assert found.macs == pytest.approx(macs, rel=0.005)


def test_crossformer_pp_small_with_retinanet():
    """The published row repeats that of S."""
    found = counted('crossformer-pp-small-g7_retinanet_8xb2-12e_coco', 800, 1280)
    assert (found.parameters, found.macs) == (pytest.approx(33.04, rel=1e-3), pytest.approx(268.6, rel=1e-3))


# The released S is larger than the published one, which has 20.5 M parameters with its ImageNet head, by this many.
LARGER_S = 22.55 - 20.5


@pytest.mark.parametrize('name, parameters, macs', [case for case in dense('smt') if 'dino' not in case.id])
def test_smt(name, parameters, macs):
    found = counted(name, *((512, 2048) if 'ade20k' in name else (800, 1280)))
    assert as_published(found.parameters - (LARGER_S if 'small' in name else 0), parameters)
    assert as_published(found.macs - found.products, macs)


# Millions of parameters, and billions of multiply-adds of convolutions alone, as counted of the released code.
TOPFORMER = {'tiny-512': (1.39, 0.53), 'small-512': (3.03, 1.11), 'base-512': (5.06, 1.75), 'tiny-448': (1.39, 0.41)}


@pytest.mark.parametrize('name, parameters, macs', dense('topformer'))
def test_topformer(name, parameters, macs):
    arch, side = re.match(r'topformer-(\w+)_.*x(\d+)$', name).groups()
    found = counted(name, int(side), int(side))
    assert (found.parameters, found.macs) == pytest.approx(TOPFORMER[f'{arch}-{side}'], abs=0.005)
    if arch != 'small':  # published as 3.1
        assert as_published(found.parameters, parameters)
    if side == '512':  # with norms and activations; at 448 these make 0.44, and 0.5 are published
        assert as_published(found.macs + found.elementwise, macs)


def test_how_many_are_counted():
    assert [len(dense(family)) for family in ('crossformer', 'smt', 'topformer')] == [20, 9, 8]


def test_the_tables_are_those_of_the_metafiles():
    done = subprocess.run(
        [sys.executable, ROOT / 'docs/make_tables.py', '--check'], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_config_is_published_or_listed_apart():
    """Those with published figures are in the metafiles, the others in the READMEs' lists, and none in both."""
    published = {ROOT / model['Config'] for model in PUBLISHED.values() if 'Config' in model}
    assert published <= set(CONFIGS)
    for path in CONFIGS:
        readme = (path.parent / 'README.md').read_text()
        apart = re.sub(r'<!-- table: .*?<!-- end -->', '', readme, flags=re.DOTALL)
        assert path.name in readme, f'{path.name} is in no README'
        assert path not in published or path.parent.name == 'restormer' or path.name not in apart


def test_every_entry_of_the_index_has_what_mim_needs():
    assert all(model['Weights'] and model['Metadata'] for model in PUBLISHED.values())
    assert all(model['Name'] == (ROOT / model['Config']).stem for model in PUBLISHED.values() if 'Config' in model)
    files = [model['Weights'] for model in PUBLISHED.values() if model['Weights'].endswith('.pth')]
    assert len(files) == len(set(files)) == 6
