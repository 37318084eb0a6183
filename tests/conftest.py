"""Fixtures that several tests share."""
from functools import partial
from pathlib import Path

import pytest
import torch
from helpers import runs

from mmvisattn.datasets.miniature import write_miniature


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope='session')
def quiet_initialisation():
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
    """The same in COCO's layout."""
    pytest.importorskip('mmdet')
    return write_miniature(tmp_path_factory.mktemp('data') / 'coco', 'coco', num_training=6, num_validation=3)


@pytest.fixture(scope='session')
def zygote():
    started = runs.Zygote()
    yield started
    started.end()


@pytest.fixture(scope='session')
def run_tool_in(zygote):
    """Run a tool in a process of its own, in the given folder; returns the finished process with its output."""
    return zygote.run


@pytest.fixture
def run_tool(run_tool_in, tmp_path):
    """As ``run_tool_in``, in a folder of the test's own."""
    return partial(run_tool_in, tmp_path)


@pytest.fixture
def run_afresh(tmp_path):
    """The same in a new interpreter, as the user starts it: for what is about imports, environments and launchers."""
    return partial(runs.run_afresh, tmp_path)
