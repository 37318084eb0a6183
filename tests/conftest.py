"""Fixtures that several tests share."""
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from mmvisattn.datasets.miniature import write_miniature

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


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


@pytest.fixture(scope='session', params=['onedl', 'openmmlab'])
def set_up(request, tmp_path_factory) -> tuple[str, Path]:
    """A line of the mm packages and the Python of a fresh clone that has set itself up with it. Slow: for install tests."""
    clone = tmp_path_factory.mktemp(request.param) / 'clone'
    subprocess.run(['git', 'clone', '--quiet', ROOT, clone], check=True)
    subprocess.run(['make', 'setup-full', f'STACK={request.param}'], cwd=clone, check=True)
    return request.param, clone / ('.venv' if request.param == 'onedl' else '.venv-openmmlab') / 'bin' / 'python'


@pytest.fixture(scope='session')
def run_tool_in():
    """Run a tool in a separate process, in the given folder; returns the finished process with its output."""

    def run(folder: Path, *args: object, timeout: float = 300) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *map(str, args)],
            cwd=folder, capture_output=True, text=True, timeout=timeout, check=False,
            env=dict(os.environ, PYTHONPATH=str(ROOT), PYTHONWARNINGS='ignore'))

    return run


@pytest.fixture
def run_tool(run_tool_in, tmp_path):
    """Like ``run_tool_in``, in the test's temporary folder."""
    return partial(run_tool_in, tmp_path)
