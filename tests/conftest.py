"""Fixtures that several tests share."""
import gc
import subprocess
from collections import defaultdict
from functools import partial
from pathlib import Path

import pytest
import torch
from helpers import runs
from mmengine.registry import DefaultScope

from mmvisattn.datasets.miniature import write_miniature
from mmvisattn.without_torchvision import import_mmpretrain


def pytest_collection_modifyitems(items):
    for item in items:
        if marker := item.get_closest_marker('fault'):
            item.user_properties.append(('fault', [marker.args[0], marker.kwargs.get('tries', 1)]))


def pytest_collection_finish():
    """Take what all tests share out of the garbage collector's sight: mmengine collects for each data set that it builds."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """A table of faults, how often each was tried, and in how many tests something was lost."""
    counts = defaultdict(lambda: [0, 0])
    for outcome in ('passed', 'failed', 'error'):
        for report in terminalreporter.stats.get(outcome, []):
            for name, tries in (value for key, value in getattr(report, 'user_properties', ()) if key == 'fault'):
                counts[name][0] += tries
                counts[name][1] += outcome != 'passed'
    for name, (tries, lost) in counts.items():
        terminalreporter.write_line(f'{name:75s} {tries:4d} tries {lost:4d} lost')


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def scopes_end():
    """A default scope that a test sets ends with it. mmengine has no public way to end one."""
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(autouse=True, scope='session')
def quiet_initialization():
    """mmengine logs every parameter that it initialises."""
    import logging

    from mmengine.logging import MMLogger
    MMLogger.get_instance('tests').setLevel(logging.ERROR)


@pytest.fixture(scope='session')
def miniature(tmp_path_factory) -> Path:
    """A miniature data set of a few images in ADE20K's layout."""
    return write_miniature(tmp_path_factory.mktemp('data') / 'miniature', num_training=6, num_validation=3)


@pytest.fixture(scope='session')
def miniature_coco(tmp_path_factory) -> Path:
    """A miniature data set of a few images in COCO's layout."""
    pytest.importorskip('mmdet')
    return write_miniature(tmp_path_factory.mktemp('data') / 'coco', 'coco', num_training=6, num_validation=3)


@pytest.fixture(scope='session')
def miniature_imagenet(tmp_path_factory) -> Path:
    """A miniature data set of a few images in ImageNet's layout."""
    pytest.importorskip('mmpretrain')
    import_mmpretrain()
    return write_miniature(tmp_path_factory.mktemp('data') / 'imagenet', 'imagenet', num_training=16, num_validation=8)


@pytest.fixture(scope='session', params=['onedl', 'openmmlab'])
def set_up(request, tmp_path_factory) -> tuple[str, Path]:
    """A line of the mm packages and the Python of a fresh clone that has set itself up with it. Slow: for install tests."""
    clone = tmp_path_factory.mktemp(request.param) / 'clone'
    subprocess.run(['git', 'clone', '--quiet', runs.ROOT, clone], check=True)
    subprocess.run(['make', 'setup-full', f'STACK={request.param}'], cwd=clone, check=True)
    return request.param, clone / ('.venv' if request.param == 'onedl' else '.venv-openmmlab') / 'bin' / 'python'


@pytest.fixture(scope='session')
def zygote():
    started = runs.Zygote()
    yield started
    started.end()


@pytest.fixture(scope='session')
def run_tool_in(zygote):
    """Run a tool in a separate process, in the given folder; returns the finished process with its output."""
    return zygote.run


@pytest.fixture
def run_tool(run_tool_in, tmp_path):
    """Like ``run_tool_in``, in the test's temporary folder."""
    return partial(run_tool_in, tmp_path)


@pytest.fixture(scope='session')
def run_apart_in():
    """Like ``run_tool_in``, in a process that has imported only torch and mmengine: the rest the tool must import itself."""
    started = runs.Zygote('mmengine.model')
    yield started.run
    started.end()


@pytest.fixture
def run_apart(run_apart_in, tmp_path):
    """Like ``run_apart_in``, in the test's temporary folder."""
    return partial(run_apart_in, tmp_path)


@pytest.fixture
def run_afresh(tmp_path):
    """The same in a new interpreter, as the user starts it."""
    return partial(runs.run_afresh, tmp_path)
