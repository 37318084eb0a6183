"""Trainings that differ in their seeds alone, and how far their scores differ."""
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mmvisattn.files import write_whole

from .training_report import read_run, task_of
from .usage import UsageError

FOLDER = 'seed-{}'


def seed_folders(work_dir: Path) -> list[Path]:
    """The work folders of the trainings with several seeds, in the order of their seeds."""
    return sorted(work_dir.glob(FOLDER.format('*')), key=lambda path: (len(path.name), path.name))


def _train(arguments: Sequence[str]) -> int:
    """Run ``tools/train.py``, which also gets the signals that ask to stop; returns its status."""
    with subprocess.Popen([sys.executable, sys.argv[0], *arguments]) as training:
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, lambda received, _: training.send_signal(received))
        return training.wait()


def train_seeds(arguments: Sequence[str], work_dir: Path, first: int, count: int) -> str:
    """Train with several seeds, one after the other, each in a process and a folder of its own.

    Args:
        arguments: the command line of ``tools/train.py``; every training gets it, with its own seed and folder.
        work_dir: the folder of all, which gets a folder ``seed-N`` for each.
        first: the first seed; the others follow it.
        count: number of trainings.

    Returns:
        What ``summary`` says of them.

    Raises:
        UsageError: if a training fails. One that was told to stop ends this process with its status.
    """
    for seed in range(first, first + count):
        folder = work_dir / FOLDER.format(seed)
        print(f'seed {seed}, {folder}', flush=True)
        # Of an option that is given twice, the last one counts.
        status = _train([*arguments, '--seeds', '0', '--seed', str(seed), '--work-dir', str(folder)])
        if status == os.EX_TEMPFAIL:
            sys.exit(status)
        if status < 0:
            raise UsageError(f'the training with seed {seed} was ended by {signal.Signals(-status).name}')
        if status:
            raise UsageError(f'the training with seed {seed} failed, see above')
    return summary(work_dir, [work_dir / FOLDER.format(seed) for seed in range(first, first + count)])


def summary(work_dir: Path, folders: Sequence[Path]) -> str:
    """Mean and deviation of the best scores of trainings, also written to ``seeds.json``.

    Raises:
        UsageError: if one of the folders holds no finished training.
    """
    runs = {folder.name.partition('-')[2]: read_run(folder) for folder in folders}
    task = task_of(next(iter(runs.values())))
    scores = {seed: max(run.values(task.key)[1]) for seed, run in runs.items()}
    mean, deviation = statistics.mean(scores.values()), statistics.stdev(scores.values()) if len(scores) > 1 else 0.0
    content = dict(metric=task.key, best=scores, mean=mean, deviation=deviation)
    write_whole(work_dir / 'seeds.json', json.dumps(content, indent=1).encode())
    each = ', '.join(f'{task.formatted(score)} (seed {seed})' for seed, score in scores.items())
    return f'{task.name:11s} {task.formatted(mean)} ± {task.formatted(deviation)}: {each}'
