"""Trainings by ``tools/train.py`` in forked processes: what is imported once need not be imported for each."""
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import cv2
import torch
from helpers.faults import ended, free_port, start
from helpers.reduced import ROOT
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import runner as runner_module
from mmengine.visualization import Visualizer

from mmvisattn.weights.inert import HISTORY_TYPES, NUMPY_TYPES, readable

SEGMENTATION = '''
_base_ = '{root}/configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'
crop_size = (32, 32)
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(64, 32), ratio_range=(0.75, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75), dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
model = dict(data_preprocessor=dict(size=crop_size), decode_head=dict(dropout_ratio=0.1))
optim_wrapper = dict(accumulative_counts={accumulate})
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_iters=8, val_interval=4)
default_hooks = dict(checkpoint=dict())
'''
DETECTION = '''
_base_ = '{root}/configs/topformer/topformer-tiny_fcos_1xb8-40e_miniature-coco.py'
model = dict(test_cfg=dict(score_thr=0.0, max_per_img=5))
train_dataloader = dict()
train_cfg = dict(max_epochs=3, val_interval=1)
default_hooks = dict(checkpoint=dict(by_epoch=False))
'''
RESTORATION = '''
_base_ = '{root}/configs/restormer/restormer_gaussian-color-blind_8xb8-300k_dfwb-128x128.py'
model = dict(backbone=dict(embed_dims=8, depths=(1, 1, 1, 1), num_refinement_blocks=1, num_heads=(1, 1, 2, 2)))
train_dataloader = dict(batch_sampler=dict(schedule=[(0, 16, 2), (3, 24, 1)]))
train_cfg = dict(max_iters=8, val_interval=4)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=0, end=8)]
default_hooks = dict(checkpoint=dict())
'''
CONFIGS = dict(segmentation=SEGMENTATION, detection=DETECTION, restoration=RESTORATION)

cv2.setNumThreads(0)  # its threads are not there in forked processes, which would wait for them


@HOOKS.register_module()
class Killer(Hook):
    """Kills the process with SIGKILL, or sends it another signal, in an iteration, unless torchrun has restarted it."""

    priority = 'LOWEST'

    def __init__(self, at: int, kind: int = signal.SIGKILL, rank: int = 0, during: str = 'train', group: bool = False):
        self.at, self.kind, self.rank, self.during, self.group = at, kind, rank, during, group

    def _kill(self, runner, iteration, during):
        restarted = int(os.environ.get('TORCHELASTIC_RESTART_COUNT', '0'))
        if (iteration, during, runner.rank) == (self.at, self.during, self.rank) and not restarted:
            if self.group:  # by another process, as a launcher does: torch's workers tell their parent's signals from others
                subprocess.run(['kill', f'-{self.kind}', '--', f'-{os.getpgrp()}'], check=False)
            else:
                os.kill(os.getpid(), self.kind)

    def after_train_iter(self, runner, *args, **kwargs):
        self._kill(runner, runner.iter + 1, 'train')

    def before_val_iter(self, runner, batch_idx, *args, **kwargs):
        if batch_idx == 1:
            self._kill(runner, runner.iter, 'val')


def write_config(path: Path, task: str, workers: int = 0, accumulate: int = 1, killer: dict | None = None) -> Path:
    """The config of a short training: eight iterations, or three epochs of three; saved after every second."""
    hooks = [dict(type='EMAHook')] if task == 'segmentation' else []
    if killer:
        hooks.append(dict(killer, type='Killer', kind=int(killer.get('kind', signal.SIGKILL))))
    persistent = workers > 0
    path.write_text(CONFIGS[task].format(root=ROOT, accumulate=accumulate) + f"""
train_dataloader.update(batch_size=2, num_workers={workers}, persistent_workers={persistent})
val_dataloader = dict(num_workers={workers}, persistent_workers={persistent})
test_dataloader = val_dataloader
default_hooks['checkpoint'].update(interval=2)
default_hooks['logger'] = dict(interval=1)
custom_hooks = {hooks!r}
""")
    return path


def begin(folder: Path, *args: object, processes: int = 1, tool: str = 'train.py') -> list[int]:
    """Begin a training, or another tool, in a folder; the numbers of its processes.

    What they print goes to a file ``output`` each.
    """
    port = free_port()

    def run(rank: int) -> None:
        output = os.open(folder / f'output{rank}', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        sys.stdout = sys.stderr = os.fdopen(output, 'w', buffering=1)
        os.setpgid(0, 0)  # with its workers
        os.chdir(folder)
        runner_module.collect_env = dict  # asks the compilers for their versions, which takes long
        torch.set_num_threads(1)
        # The forking process may have run a training itself, whose visualizer has the same name, and another folder.
        for kind in (Visualizer, *Visualizer.__subclasses__()):
            kind._instance_dict.clear()
        sys.argv = [tool, *map(str, args)]
        if processes > 1:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes), MASTER_ADDR='localhost',
                              MASTER_PORT=str(port))
            sys.argv += ['--launcher', 'pytorch']
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')

    return [start(lambda rank=rank: run(rank)) for rank in range(processes)]


def end(processes: Iterable[int]) -> list[int]:
    """Wait for the processes; their exit statuses. If one was killed the others would wait for it: they are killed, too."""
    processes, statuses = list(processes), []
    for process in processes:
        statuses.append(ended(process))
        if statuses[-1] < 0:
            for other in processes[len(statuses):]:
                os.kill(other, signal.SIGKILL)
    return statuses


def output(folder: Path, rank: int = 0) -> str:
    return (folder / f'output{rank}').read_text()


def weights(folder: Path, name: str) -> dict:
    """Everything in a checkpoint that a training goes on with, by name."""
    with readable([*HISTORY_TYPES, *NUMPY_TYPES]):
        content = torch.load(folder / name, weights_only=True)
    return {f'{part}.{key}': value for part in ('state_dict', 'ema_state_dict')
            for key, value in content.get(part, {}).items()}


def assert_equal(first: dict, second: dict) -> None:
    """All weights are equal to the last bit."""
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different, f'{len(different)} of {len(first)} differ, such as {different[0]}'
