"""The scripts that start several processes, and ``python -m mmvisattn``."""
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from helpers import runs
from helpers.faults import ended, start, wait_for
from helpers.reduced import ROOT
from helpers.runs import scalars
from helpers.trainings import begin, end, output, write_config

from mmvisattn.cli.launching import alone_in
from mmvisattn.cli.usage import UsageError

pytest.importorskip('mmseg')
TOOLS = ROOT / 'tools'
CONFIG = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'


def run_script(folder, *args, **variables):
    environment = dict(runs.environment(), PYTHON=sys.executable, OMP_NUM_THREADS='1') | variables
    return subprocess.run([*map(str, args)], cwd=folder, capture_output=True, text=True, timeout=300, check=False,
                          env=environment)


def test_two_processes_train_with_gloo(miniature, tmp_path):
    """As torchrun starts them; ``test_a_process_dies`` has the script and torchrun, too."""
    settings = {'train_cfg.max_iters': 2, 'env_cfg.dist_cfg.timeout': 60}
    processes = begin(tmp_path, CONFIG, '--work-dir', 'run', '--accumulate', 2, *runs.options(miniature, 1, **settings),
                      processes=2)
    assert end(processes) == [0, 0], output(tmp_path)[-3000:]
    records = scalars(tmp_path / 'run')
    assert [r['step'] for r in records if 'loss' in r] == [2, 4] and [r['step'] for r in records if 'mIoU' in r] == [2, 4]
    assert 'Distributed training: True' in output(tmp_path)


@pytest.mark.parametrize('script, arguments, called', [
    ('dist_train.sh', ['my.py', 2, '--seed', 1], 'train.py my.py --seed 1'),
    ('dist_test.sh', ['my.py', 'my.pth', 2, '--out', 'x'], 'test.py my.py my.pth --out x')])
def test_the_scripts_call_torchrun(tmp_path, script, arguments, called):
    """With a stand-in for Python."""
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    done = run_script(tmp_path, TOOLS / script, *arguments, PYTHON=str(python))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('-m torch.distributed.run') and '--nproc-per-node 2' in done.stdout
    assert done.stdout.endswith(f'/{called} --launcher pytorch\n')


@pytest.mark.fault('a process of two is killed, with torchrun')
@pytest.mark.parametrize('restarts', [0, 1])
def test_a_process_dies(miniature, tmp_path, restarts):
    """The other one names it; torchrun starts both again, and they go on from the last checkpoint."""
    config = write_config(tmp_path / 'config.py', 'segmentation', killer=dict(at=5, rank=1))
    config.write_text(config.read_text() + "custom_imports = dict(imports=['helpers.trainings'])\n")
    done = run_script(tmp_path, TOOLS / 'dist_train.sh', config, 2, '--work-dir', 'run', '--resume', '--cfg-options',
                      f'data_root={miniature}', RESTARTS=str(restarts), PYTHONPATH=f'{ROOT}{os.pathsep}{ROOT / "tests"}')
    text = done.stdout + done.stderr
    assert re.search(r'error: rank 1 \(on .*\) died: no sign of life for 10 seconds', text), text[-3000:]
    assert done.returncode == (1 if not restarts else 0), text[-3000:]
    steps = [record['step'] for record in scalars(tmp_path / 'run') if 'loss' in record]
    assert steps == ([1, 2, 3, 4, 5] if not restarts else [1, 2, 3, 4, 5, 5, 6, 7, 8])
    assert not restarts or '/iter_4.pth, after 4 iterations' in text


def test_slurm_queues_a_training_again_that_was_told_to_stop(tmp_path):
    """With stand-ins for Slurm's commands."""
    for name, status in (('srun', 75), ('scontrol', 0)):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> called\nexit {status}\n')
        (tmp_path / name).chmod(0o755)
    done = run_script(tmp_path, TOOLS / 'slurm_train.sh', 'my.py', '--seed', 1, SLURM_JOB_ID='123',
                      PATH=f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')
    assert done.returncode == 75
    first, second = (tmp_path / 'called').read_text().splitlines()
    assert first.endswith('-m mmvisattn train my.py --seed 1 --launcher slurm --resume') and second == 'scontrol requeue 123'


@pytest.mark.parametrize('name, count', [('dist_train.sh', 1), ('dist_test.sh', 2), ('slurm_train.sh', 0)])
def test_too_few_arguments_are_told(tmp_path, name, count):
    done = run_script(tmp_path, TOOLS / name, *['x'] * count)
    assert done.returncode == 2 and done.stderr.startswith('usage: ')


def test_the_tools_are_commands_of_the_package(run_tool):
    code = 'import runpy, sys; sys.argv[1:] = {}; runpy.run_module("mmvisattn", run_name="__main__")'
    done = run_tool('-c', code.format([]))
    assert done.returncode == 0 and all(path.stem in done.stdout for path in TOOLS.glob('*.py'))
    done = run_tool('-c', code.format(['make-miniature', 'data', '--num-training', '1', '--num-validation', '1']))
    assert done.returncode == 0, done.stderr
    runs.assert_refused(run_tool('-c', code.format(['trian'])), 'there is no tool trian; did you mean train?')
    runs.assert_refused(run_tool('-c', code.format(['train', CONFIG.stem])), 'data/miniature does not exist')


def test_two_trainings_do_not_share_a_folder(tmp_path):
    def run():
        with alone_in(tmp_path / 'run'):
            (tmp_path / 'locked').touch()
            time.sleep(60)

    process = start(run)
    wait_for((tmp_path / 'locked').exists)
    words = f'--work-dir .*run: another training writes to it .process {process} on'
    with pytest.raises(UsageError, match=words), alone_in(tmp_path / 'run'):
        pass
    os.kill(process, signal.SIGKILL)
    ended(process)
    with alone_in(tmp_path / 'run'):
        pass
