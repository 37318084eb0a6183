"""Set-up from scratch, as a new user runs it. Slow: run by make test-install."""
import os
import signal
import subprocess
import time

import pytest
from helpers.reduced import ROOT

SEGMENTOR = 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'
DETECTOR = 'configs/topformer/topformer-tiny_fcos_1xb8-40e_miniature-coco.py'
SHORT = ('--cfg-options', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2')
OUTSIDE = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
HAS_OPERATORS = "import mmcv.ops, mmdet, mmseg; from mmvisattn import models; print(len(models.__all__))"


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / 'clone'
    subprocess.run(['git', 'clone', '--quiet', ROOT, folder], check=True)
    return folder


@pytest.fixture
def no_compiler(tmp_path):
    """An environment in which every compiler fails."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    for name in ('cc', 'c++', 'gcc', 'g++', 'x86_64-linux-gnu-gcc', 'x86_64-linux-gnu-g++'):
        (folder / name).write_text('#!/bin/sh\nexit 1\n')
        (folder / name).chmod(0o755)
    return dict(OUTSIDE, PATH=f'{folder}:{os.environ["PATH"]}')


def has_operators(clone, folder='.venv'):
    done = subprocess.run([clone / folder / 'bin/python', '-c', HAS_OPERATORS], cwd=clone.parent, capture_output=True,
                          text=True, check=False, env=OUTSIDE)
    return done.returncode == 0 and int(done.stdout.splitlines()[-1]) >= 2


def train(clone, config, *options):
    return subprocess.run([clone / '.venv/bin/python', 'tools/train.py', config, *options], cwd=clone, capture_output=True,
                          text=True, check=False, env=OUTSIDE)


def kill(clone, target, when, env=OUTSIDE):
    """Start a set-up, and kill all its processes as soon as something is there (or gone)."""
    with subprocess.Popen(['make', target], cwd=clone, env=env, start_new_session=True) as started:
        while not when():
            assert started.poll() is None, 'ended before'
            time.sleep(0.05)
        os.killpg(started.pid, signal.SIGKILL)


@pytest.mark.install
def test_segmentation_needs_no_compiler_and_operators_come_on_top(clone, no_compiler):
    subprocess.run(['make', 'setup', 'data/miniature'], cwd=clone, check=True, env=no_compiler)
    assert train(clone, SEGMENTOR, *SHORT).returncode == 0
    refused = train(clone, DETECTOR)
    assert refused.returncode == 1 and 'mmcv-lite' not in refused.stderr
    assert 'error: the config needs' in refused.stderr and 'make setup-full' in refused.stderr
    assert not has_operators(clone)
    kill(clone, 'setup-full', lambda: not list((clone / '.venv').glob('lib/python3*/site-packages/mmcv_lite-*')))
    subprocess.run(['make', 'setup-full'], cwd=clone, check=True)
    assert has_operators(clone)
    (clone / 'requirements/base.txt').touch()
    subprocess.run(['make', 'setup'], cwd=clone, check=True)
    assert has_operators(clone), 'the light set-up took the operators away'


@pytest.mark.install
def test_the_other_line(clone):
    subprocess.run(['make', 'setup', 'STACK=openmmlab'], cwd=clone, check=True)
    assert has_operators(clone, '.venv-openmmlab')


@pytest.mark.install
@pytest.mark.parametrize('seen', ['pyvenv.cfg', 'lib/python3*/site-packages/torch', 'lib/python3*/site-packages/mmseg'])
def test_an_interrupted_set_up_heals(clone, no_compiler, seen):
    kill(clone, 'setup', lambda: list((clone / '.venv').glob(seen)), no_compiler)
    subprocess.run(['make', 'setup', 'data/miniature'], cwd=clone, check=True, env=no_compiler)
    done = train(clone, SEGMENTOR, *SHORT)
    assert done.returncode == 0, done.stderr


def test_an_unknown_stack_is_named():
    done = subprocess.run(['make', 'setup', 'STACK=other'], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and 'other' in done.stderr
