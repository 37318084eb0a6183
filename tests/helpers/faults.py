"""Faults for trainings: kills and errors at chosen moments of writing, in forked processes that have everything imported."""
import errno
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.runner import runner as runner_module
from torch import nn
from torch.utils.data import Dataset

OPERATIONS = ('write', 'fsync', 'replace', 'unlink', 'remove')
KILLED = 99


class Numbers(Dataset):
    """Twelve vectors."""

    def __init__(self, size: int = 12):
        self.values = torch.randn(size, 4, generator=torch.Generator().manual_seed(1))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.values[index]


class ToyModel(BaseModel):
    """One layer and dropout, which draws random numbers."""

    def __init__(self, ballast: int = 1, dropout: float = 0.5):
        super().__init__()
        self.dropout = dropout
        self.layer = nn.Linear(4, 2)
        self.ballast = nn.Parameter(torch.zeros(ballast))  # makes checkpoints large

    def forward(self, values, mode='tensor'):
        values = torch.stack(values) if isinstance(values, (list, tuple)) else values
        out = nn.functional.dropout(self.layer(values.to(self.layer.weight)), self.dropout, self.training)
        return dict(loss=out.square().mean() + self.ballast.sum()) if mode == 'loss' else [out]

    def train_step(self, data, optim_wrapper):
        losses = self(data, mode='loss')
        optim_wrapper.update_params(losses['loss'])
        return losses

    def val_step(self, data):
        return self(data)


class Rising(BaseMetric):
    """A score that rises from validation to validation, so that each is the best."""

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return dict(score=float(MessageHub.get_current_instance().get_info('iter')))


def toy_runner(work_dir: Path, iterations: int = 6, batch_size: int = 2, **settings) -> Runner:
    """A training that saves after each iteration, keeps two checkpoints, and validates after every second iteration."""
    loader = dict(batch_size=batch_size, num_workers=0, dataset=Numbers(),
                  sampler=dict(type='DefaultSampler', shuffle=False))
    resumable = dict(sampler=dict(type='mmvisattn.InfiniteSampler'),
                     batch_sampler=dict(type='mmvisattn.ResumableBatchSampler'))
    settings = dict(dict(
        model=ToyModel(), work_dir=str(work_dir), train_dataloader=dict(loader, **resumable),
        train_cfg=dict(type='mmvisattn.IterBasedTrainLoop', max_iters=iterations, val_interval=2),
        val_dataloader=loader, val_cfg=dict(),
        val_evaluator=Evaluator(Rising(prefix='toy')), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        default_hooks=dict(checkpoint=dict(type='mmvisattn.CheckpointHook', by_epoch=False, interval=1, max_keep_ckpts=2,
                                           save_best='toy/score', rule='greater')),
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='mmvisattn.LocalVisBackend')]),
        randomness=dict(seed=0), log_level='ERROR', experiment_name=f'toy{os.getpid()}'), **settings)
    runner_module.collect_env = dict  # asks the compilers for their versions, which takes longer than the training
    return Runner(**settings)


class Reporter(Hook):
    """Reports what has been saved when an iteration ends: from then on nothing may take it away."""

    priority = 'LOWEST'

    def __init__(self, path: Path):
        self.path = path

    def after_train_iter(self, runner, *args, **kwargs):
        with self.path.open('a') as file:
            file.write(f'{runner.iter + 1}\n')


@contextmanager
def fault(at: int, action: Callable[[str, tuple], None], folder: Path) -> Iterator[list[str]]:
    """Within, do something before the given call of those functions of ``os`` that write, rename and delete in a folder.

    Yields:
        The names of the functions called, in order.
    """
    called: list[str] = []
    real = {name: getattr(os, name) for name in OPERATIONS}

    def replacement(name):
        def call(first, *args, **kwargs):
            path = os.readlink(f'/proc/self/fd/{first}') if isinstance(first, int) else os.fspath(first)
            if not str(path).startswith(str(folder)):
                return real[name](first, *args, **kwargs)
            called.append(name)
            if len(called) == at:
                if name == 'write':
                    real['write'](first, args[0][:len(args[0]) // 2])  # half of it arrives
                action(name, (first, *args))
            return real[name](first, *args, **kwargs)
        return call

    for name in OPERATIONS:
        setattr(os, name, replacement(name))
    try:
        yield called
    finally:
        for name in OPERATIONS:
            setattr(os, name, real[name])


def kill(*_) -> None:
    """End as a kill does: nothing is tidied up."""
    os._exit(KILLED)


def full_disk(*_) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def start(function: Callable[[], None]) -> int:
    """Run a function in a forked process; the number of the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        function()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
        print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def ended(process: int) -> int:
    """Wait for a forked process; its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def free_port() -> int:
    with socket.socket() as found:
        found.bind(('localhost', 0))
        return found.getsockname()[1]


def start_ranks(function: Callable[[int], None], number: int) -> list[int]:
    """Run a function of the rank in forked processes that form a group of gloo; their numbers."""
    port = free_port()

    def run(rank: int) -> None:
        torch.set_num_threads(1)
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(number), MASTER_ADDR='localhost',
                          MASTER_PORT=str(port))
        torch.distributed.init_process_group('gloo')
        function(rank)

    return [start(lambda rank=rank: run(rank)) for rank in range(number)]


def end(processes: Iterable[int]) -> list[int]:
    """Wait for processes; their exit statuses."""
    return [ended(process) for process in processes]


def has_ended(process: int) -> bool:
    """Whether a forked process has ended; ``ended`` still tells how."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def forked(function: Callable[[], None]) -> int:
    """Run a function in a forked process; its exit status."""
    return ended(start(function))


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'nothing happened'
        time.sleep(0.001)
