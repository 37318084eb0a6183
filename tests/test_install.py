"""Set-up from scratch, as a new user runs it. Slow: run by make test-install."""
import os
import subprocess

import pytest
from helpers.reduced import ROOT


@pytest.mark.install
def test_a_fresh_clone_sets_itself_up(set_up, tmp_path):
    code = "import mmcv.ops, mmdet, mmseg; from mmvisattn import models; print(len(models.__all__))"
    done = subprocess.run([set_up[1], '-c', code], cwd=tmp_path, capture_output=True, text=True, check=True,
                          env={key: value for key, value in os.environ.items() if key != 'PYTHONPATH'})
    assert int(done.stdout.splitlines()[-1]) >= 2


def test_an_unknown_stack_is_named():
    done = subprocess.run(['make', 'setup', 'STACK=other'], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and 'other' in done.stderr
