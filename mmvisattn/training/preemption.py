"""Trainings that are told to stop save first, and end with a status on which a launcher starts them again."""
import os
import signal
import sys
import threading
import time
from datetime import timedelta
from types import FrameType
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch.utils.data import get_worker_info

from mmvisattn.registry import HOOKS

from .agreement import Agreement
from .checkpoint_hook import CheckpointHook, at_update

# The system's name for a failure after which it helps to try again.
STOPPED = os.EX_TEMPFAIL
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Saves and ends the training when it is told to: by SIGTERM, SIGUSR1 (Slurm's ``--signal=USR1@120``) or the clock.

    All ranks stop after the same iteration, at the latest the one after the signal, and also within a validation, which a
    resumed training begins anew. The exit status is ``STOPPED`` (75). Needs ``mmvisattn.CheckpointHook``.

    Args:
        max_time: seconds from the beginning of the training after which it ends; None: no limit.
    """

    priority = 'LOWEST'

    def __init__(self, max_time: float | None = None):
        self.end = None if max_time is None else time.monotonic() + max_time
        self.reason = ''
        self.agreement = Agreement()
        self.common_val_iters = 0
        self.is_agreed = False
        self.before: dict = {}

    def before_train(self, runner: Runner) -> None:
        """Listen to the signals."""
        self.before = {number: signal.signal(number, self._note) for number in SIGNALS}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.reason = signal.Signals(number).name

    def _is_asked(self) -> bool:
        if self.end is not None and time.monotonic() >= self.end:
            self.reason = self.reason or 'the time limit'
        return bool(self.reason)

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        self.is_agreed |= self.agreement.ask(self._is_asked())
        if self.is_agreed and at_update(runner):  # accumulated gradients are not saved
            self._stop(runner, runner.iter + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        """The ranks can have different numbers of batches; they ask each other only as long as all have some."""
        number = torch.tensor(len(runner.val_dataloader))
        all_reduce(number, 'min')
        self.common_val_iters = int(number)

    def after_val_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        if batch_idx >= self.common_val_iters:
            return
        self.is_agreed |= self.agreement.ask(self._is_asked())
        if self.is_agreed and at_update(runner):
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):
                    hook.after_val_epoch(runner)  # takes the averaged weights out of the model again
            self._stop(runner, runner.iter)

    def after_train(self, runner: Runner) -> None:
        self.agreement.end()
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _stop(self, runner: Runner, iteration: int) -> None:
        """Save, unless this iteration is saved already, and end."""
        hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
        if hook is None:
            raise RuntimeError(
                "PreemptionHook needs default_hooks=dict(checkpoint=dict(type='mmvisattn.CheckpointHook', …))")
        saved = hook.saved_at == iteration or hook.save(
            runner, f'iter_{iteration}.pth', dict(epoch=runner.epoch, iter=iteration))
        runner.logger.warning(
            f'{self.reason or "another process"} asks to stop: '
            + (f'saved after {iteration} iterations; --resume goes on from there' if saved else 'nothing could be saved'))
        raise SystemExit(STOPPED)


def end_at_signals() -> None:
    """Until the training begins, end at once at a signal, with the status on which a launcher starts again."""
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: sys.exit(STOPPED))


def _end_with_the_parent() -> None:
    while True:
        info = signal.sigwaitinfo(SIGNALS)
        if info.si_signo == signal.SIGTERM and info.si_pid == os.getppid():
            os._exit(0)


def ignore_in_workers() -> None:
    """Let a worker of a data loader go on when all processes of a training are told to stop: it is needed until the end.

    A launcher may signal the whole process group, and Slurm signals each process; torch's handler would end the worker, and
    the error of that the training. A SIGTERM of the training itself, to which the worker belongs, still ends it.
    """
    if get_worker_info() is not None and signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS):
        threading.Thread(target=_end_with_the_parent, daemon=True).start()


def seconds(text: str) -> float:
    """A time such as 1-12:00:00 (with days, as Slurm writes them), 11:30:00, 30:00 or 90 (seconds).

    Raises:
        ValueError: if it is none, or not positive.
        OverflowError: if it is infinite, or longer than a time can be.
    """
    days, dash, clock = text.rpartition('-')
    parts = [float(part) for part in clock.split(':')]
    if len(parts) > 3 or any(part < 0 for part in parts) or (dash and (len(parts) < 3 or not days.isdecimal())):
        raise ValueError(text)
    hours, minutes, rest = [0.0] * (3 - len(parts)) + parts
    duration = timedelta(days=int(days or 0), hours=hours, minutes=minutes, seconds=rest).total_seconds()
    if not duration:
        raise ValueError(text)
    return duration
