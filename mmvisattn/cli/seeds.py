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


def _train(arguments: Sequence[str], told: list[int]) -> int:
    """Run ``tools/train.py``, which also gets the signals that ask to stop; returns its status.

    Args:
        arguments: of its command line.
        told: gets the signals.
    """
    trainings: list[subprocess.Popen] = []

    def pass_on(number: int, _: object) -> None:
        told.append(number)
        for training in trainings:
            training.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, pass_on)
    with subprocess.Popen([sys.executable, sys.argv[0], *arguments]) as training:
        trainings.append(training)
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
        UsageError: if a training fails. If this process was told to stop, it ends with the status of such a training.
    """
    told: list[int] = []
    for seed in range(first, first + count):
        if told:  # when the last training was over already
            sys.exit(os.EX_TEMPFAIL)
        folder = work_dir / FOLDER.format(seed)
        print(f'seed {seed}, {folder}', flush=True)
        # Of an option that is given twice, the last one counts.
        status = _train([*arguments, '--seeds', '0', '--seed', str(seed), '--work-dir', str(folder)], told)
        if status == os.EX_TEMPFAIL:
            sys.exit(status)
        if status < 0:
            raise UsageError(f'the training with seed {seed} was ended by {signal.Signals(-status).name}')
        if status:
            raise UsageError(f'the training with seed {seed} failed, see above')
    return summary(work_dir, [work_dir / FOLDER.format(seed) for seed in range(first, first + count)])


def scored_seeds(work_dir: Path) -> tuple[list[Path], list[str]]:
    """The work folders of the trainings with several seeds that have a checkpoint and a score; the names of the others."""
    scored, others = [], []
    for folder in seed_folders(work_dir):
        try:
            task_of(read_run(folder))
            scored.append(folder)
        except UsageError:
            others.append(folder.name)
    return scored, others


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
