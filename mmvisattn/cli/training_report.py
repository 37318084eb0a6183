"""One picture of a finished training: inputs, predictions, and the learning curve."""
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope

from mmvisattn.cli.arguments import checkpoint_path, load_weights, read_config
from mmvisattn.cli.checks import check_data, datasets_in
from mmvisattn.config import model_of
from mmvisattn.files import written_whole
from mmvisattn.training.resume import newest_checkpoint

from .misuse import config_errors
from .tasks import TASKS, Task
from .usage import UsageError, check_figure


@dataclass(frozen=True)
class TrainingRun:
    """The files of a work folder.

    Attributes:
        name: of the folder.
        config: the config as trained.
        checkpoint: the best one, or the latest if none was marked best.
        log: the latest text log.
        history: the logged scalars of all runs in the folder, in order; a resumed run replaces the steps that it repeats.
    """
    name: str
    config: Path
    checkpoint: Path
    log: Path
    history: list[dict]

    def values(self, key: str) -> tuple[list[int], list[float]]:
        """Steps and values at which a scalar was logged."""
        records = [record for record in self.history if key in record]
        return [record['step'] for record in records], [record[key] for record in records]

    def scores(self, task: Task) -> tuple[list[int], list[float]]:
        """Steps and scores of the validations."""
        steps, values = self.values(task.key)
        return steps, [value * task.scale for value in values]


def _read_scalars(path: Path) -> list[dict]:
    """The scalars of one run, in order, with steps in iterations. (mmengine logs validations in epochs if training is.)

    A last line that was being written when the training was killed is left out.

    Raises:
        UsageError: if another line is broken.
    """
    lines = path.read_text(errors='replace').splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(dict(json.loads(line)))
            records[-1]['step']
        except (ValueError, TypeError, KeyError) as error:
            if number < len(lines):
                raise UsageError(f'line {number} of {path} is no record of a training: {line[:60]!r}; remove it') from error
    per_epoch = max((record['iter'] / record['epoch'] for record in records if 'epoch' in record), default=1)
    return [record if 'loss' in record else dict(record, step=round(record['step'] * per_epoch)) for record in records]


def _name(work_dir: Path) -> str:
    """The name of a work folder; of one of several seeds, with that of the folder of all."""
    folder = work_dir.resolve()
    return f'{folder.parent.name}/{folder.name}' if folder.name.startswith('seed-') else folder.name


def read_run(work_dir: Path) -> TrainingRun:
    """The files of a work folder.

    Raises:
        UsageError: if the folder holds no finished training.
    """
    configs = sorted(work_dir.glob('*.py'), key=lambda path: path.stat().st_mtime)
    logs = sorted(work_dir.glob('*/*.log'))
    marked = sorted(work_dir.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    if not marked and (newest := newest_checkpoint(work_dir)[0]):
        marked = [newest.path]
    if not (configs and logs and (marked or (work_dir / 'last_checkpoint').is_file())):
        raise UsageError(f'{work_dir} holds no training with a checkpoint: expected a config, a log and *.pth, '
                         'as tools/train.py writes them')
    history: dict[tuple, dict] = {}
    for scalars in sorted(work_dir.glob('*/vis_data/scalars.json')):
        records = _read_scalars(scalars)
        first = min((record['step'] for record in records), default=0)
        history = {key: record for key, record in history.items() if record['step'] < first}
        history.update({(record['step'], 'loss' in record): record for record in records})
    checkpoint = marked[-1] if marked else work_dir / '*.pth'
    return TrainingRun(_name(work_dir), configs[-1], checkpoint, logs[-1], list(history.values()))


def task_of(run: TrainingRun) -> Task:
    """The kind of model that was trained, recognised by its logged score.

    Raises:
        UsageError: if there was no validation yet.
    """
    task = next((task for task in TASKS if run.values(task.key)[0]), None)
    if task is None:
        raise UsageError(f'{run.log.parents[1]} holds no validation yet')
    return task


def _plot_history(axes: Axes, task: Task, run: TrainingRun, others: Sequence[TrainingRun]) -> None:
    steps, losses = run.values('loss')
    axes.plot(steps, losses, color='tab:gray', linewidth=1, label='training loss')
    axes.set(xlabel='iteration', ylabel='loss', ylim=(0, None))
    twin = axes.twinx()
    steps, scores = run.scores(task)
    twin.plot(steps, scores, color='tab:blue', marker='o', label=f'validation {task.name}')
    for number, other in enumerate(others, start=1):
        steps, scores = other.scores(task)
        twin.plot(steps, scores, marker='.', linestyle='--', color=f'C{number}', label=f'{task.name} of {other.name}')
    twin.set(ylabel=task.name + task.unit, ylim=task.limits)
    twin.grid(alpha=0.3)
    axes.set_xlim(0, None)
    axes.legend(handles=[*axes.get_lines(), *twin.get_lines()], loc='upper center', ncols=2)


def _plot_speed(axes: Axes, runs: Sequence[TrainingRun]) -> None:
    """Images per second of trainings, and below in the same colors which part of the time they wait for data."""
    twin = axes.twinx()
    for number, run in enumerate(runs):
        color = f'C{number}'
        axes.plot(*run.values('images_per_second'), color=color, linewidth=1, label=run.name)
        times = [(record['step'], 100 * record['data_time'] / record['time']) for record in run.history
                 if 'loss' in record and record.get('time') and 'data_time' in record]
        twin.plot(*zip(*times), color=color, linewidth=1, linestyle=':')
    axes.set(xlabel='iteration', ylabel='images per second', ylim=(0, None), xlim=(0, None))
    twin.set(ylabel='data wait, % (dotted)', ylim=(0, 100))
    axes.legend(loc='lower right', fontsize='small')


def draw_report(task: Task, run: TrainingRun, cfg: Config, out: Path, others: Sequence[TrainingRun] = (),
                num_examples: int = 5) -> None:
    """Draw examples of the validation set, evenly spread over it, and the learning curve.

    Args:
        task: the kind of model.
        run: the files of the training.
        cfg: its config, with the current data root.
        out: the picture to write.
        others: other trainings whose scores to draw in the same plot.
        num_examples: number of validation images to show.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    with config_errors(cfg):
        model = MODELS.build(model_of(cfg)).eval()
        dataset = DATASETS.build(cfg.val_dataloader.dataset)
    load_weights(model, run.checkpoint)
    chosen = np.linspace(0, len(dataset) - 1, min(num_examples, len(dataset))).astype(int)
    examples = [task.example(model, dataset, int(i)) for i in chosen]
    timed = [each for each in (run, *others) if each.values('images_per_second')[0]]
    heights = (2.2 * len(task.rows), 3, *([2] if timed else []))
    figure = Figure(figsize=(2.6 * len(examples), sum(heights)), layout='constrained')
    subfigures: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    above, middle, *below = subfigures
    grid = above.subplots(len(task.rows), len(examples), squeeze=False)
    for column, pictures in zip(grid.T, examples):
        for axes, example in zip(column, pictures):
            axes.imshow(example.picture)
            axes.set(xticks=[], yticks=[], xlabel=example.caption)
    for axes, name in zip(grid[:, 0], task.rows):
        axes.set_ylabel(name)
    if 'palette' in dataset.metainfo:
        named = zip(dataset.metainfo['classes'], dataset.metainfo['palette'])
        above.legend(handles=[Patch(color=tuple(np.array(color) / 255), label=name) for name, color in named][:20],
                     loc='outside lower center', ncols=6, fontsize='small')
    _plot_history(middle.subplots(), task, run, others)
    if timed:
        _plot_speed(below[0].subplots(), timed)
    with written_whole(out) as path:
        figure.savefig(path, dpi=100)


def write_report(work_dir: Path, out: Path, data_root: str | None = None, compare: Sequence[Path] = ()) -> str:
    """Draw the picture of a training; returns a text with its best score and the paths of its files.

    Raises:
        UsageError: if the folder holds no finished training, its data is missing, or the picture cannot be written.
    """
    run = read_run(work_dir)
    check_figure('--out', out)
    checkpoint_path(run.checkpoint)
    task = task_of(run)
    steps, scores = run.values(task.key)
    cfg = read_config(run.config)
    if data_root:
        for _, dataset in datasets_in(cfg):
            dataset['data_root'] = data_root
    check_data(cfg, 'val_dataloader')
    draw_report(task, run, cfg, out, [read_run(other) for other in compare])
    best = int(np.argmax(scores))
    return '\n'.join([
        f'{task.name:11s} {task.formatted(scores[best])} on the validation set, at iteration {steps[best]}',
        f'picture     {out}',
        f'log         {run.log}',
        f'checkpoint  {run.checkpoint}',
    ])
