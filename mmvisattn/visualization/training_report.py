"""One picture of a finished segmentation training: what the model sees, and how it learned."""
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS, init_default_scope

from mmvisattn.engine.setup import UsageError, check_data, load_weights, read_config
from mmvisattn.files import written_whole

METRIC = 'mIoU'


@dataclass(frozen=True)
class TrainingRun:
    """The files of a work folder.

    Attributes:
        config: the config as trained.
        checkpoint: the best one, or the latest if none was marked best.
        log: the latest text log.
        history: the logged scalars of all runs in the folder, in order; a resumed run replaces what it repeats.
    """
    config: Path
    checkpoint: Path
    log: Path
    history: list[dict]

    def values(self, key: str) -> tuple[list[int], list[float]]:
        """Steps and values at which a scalar was logged."""
        records = [record for record in self.history if key in record]
        return [record['step'] for record in records], [record[key] for record in records]


def read_run(work_dir: Path) -> TrainingRun:
    """The files of a work folder.

    Raises:
        UsageError: if the folder holds no finished training.
    """
    configs = sorted(work_dir.glob('*.py'), key=lambda path: path.stat().st_mtime)
    logs = sorted(work_dir.glob('*/*.log'))
    marked = sorted(work_dir.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    latest = work_dir / 'last_checkpoint'
    if not (configs and logs and (marked or latest.is_file())):
        raise UsageError(f'{work_dir} holds no training with a checkpoint: expected a config, a log and *.pth, '
                         'as tools/train.py writes them')
    history: dict[tuple, dict] = {}
    for scalars in sorted(work_dir.glob('*/vis_data/scalars.json')):
        records = [json.loads(line) for line in scalars.read_text().splitlines()]
        first = min((record['step'] for record in records), default=0)
        history = {key: record for key, record in history.items() if record['step'] < first}
        history.update({(record['step'], 'loss' in record): record for record in records})
    checkpoint = marked[-1] if marked else work_dir / Path(latest.read_text().strip()).name
    return TrainingRun(configs[-1], checkpoint, logs[-1], list(history.values()))


def paint(labels: np.ndarray, palette: list[list[int]]) -> np.ndarray:
    """(H, W) labels as an (H, W, 3) uint8 RGB image; labels beyond the palette (255, unlabelled) are black."""
    colours = np.zeros((256, 3), np.uint8)
    colours[:len(palette)] = palette
    return colours[labels]


def _example(model: BaseModel, sample: dict, palette: list[list[int]]) -> list[np.ndarray]:
    """Image, painted truth and painted prediction of one sample, each at the truth's size."""
    with torch.inference_mode():
        result = model.test_step(pseudo_collate([sample]))[0]
    truth = result.gt_sem_seg.data[0].cpu().numpy()
    image = mmcv.imread(result.img_path, channel_order='rgb')
    return [image, paint(truth, palette), paint(result.pred_sem_seg.data[0].cpu().numpy(), palette)]


def _plot_history(axes: Axes, run: TrainingRun, others: Sequence[TrainingRun]) -> None:
    steps, losses = run.values('loss')
    axes.plot(steps, losses, color='tab:gray', linewidth=1, label='training loss')
    axes.set(xlabel='iteration', ylabel='loss', ylim=(0, None))
    steps, scores = run.values(METRIC)
    twin = axes.twinx()
    twin.plot(steps, np.array(scores) / 100, color='tab:blue', marker='o', label=f'validation {METRIC}')
    for number, other in enumerate(others, start=1):
        steps, scores = other.values(METRIC)
        twin.plot(steps, np.array(scores) / 100, marker='.', linestyle='--', color=f'C{number}',
                  label=f'{METRIC} of {other.config.stem}')
    twin.set(ylabel=METRIC, ylim=(0, 1))
    twin.grid(alpha=0.3)
    axes.set_xlim(0, None)
    axes.legend(handles=[*axes.get_lines(), *twin.get_lines()], loc='upper center', ncols=2)


def draw(run: TrainingRun, cfg: Config, out: Path, others: Sequence[TrainingRun] = (), num_examples: int = 5) -> None:
    """Draw examples of the validation set, evenly spread over it, and the learning curve.

    Args:
        run: the files of the training.
        cfg: its config, with the data where it is now.
        out: the picture to write.
        others: trainings whose scores to draw beside.
        num_examples: how many validation images to show.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    model = MODELS.build(cfg.model).eval()
    load_weights(model, run.checkpoint)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    classes, palette = dataset.metainfo['classes'], dataset.metainfo['palette']
    chosen = np.linspace(0, len(dataset) - 1, min(num_examples, len(dataset))).astype(int)
    examples = [_example(model, dataset[int(i)], palette) for i in chosen]
    figure = Figure(figsize=(2.6 * len(examples), 9.5), layout='constrained')
    subfigures: Any = figure.subfigures(2, 1, height_ratios=(6.5, 3))
    above, below = subfigures
    grid = above.subplots(3, len(examples), squeeze=False)
    for column, maps in zip(grid.T, examples):
        for axes, picture in zip(column, maps):
            axes.imshow(picture)
            axes.set(xticks=[], yticks=[])
    for axes, name in zip(grid[:, 0], ('image', 'truth', 'prediction')):
        axes.set_ylabel(name)
    above.legend(
        handles=[Patch(color=tuple(np.array(colour) / 255), label=name) for name, colour in zip(classes, palette)][:20],
        loc='outside lower center', ncols=6, fontsize='small')
    _plot_history(below.subplots(), run, others)
    with written_whole(out) as path:
        figure.savefig(path, dpi=100)


def report(work_dir: Path, out: Path, data_root: str | None = None, compare: Sequence[Path] = ()) -> str:
    """Draw the picture of a training and say in words how good it is and where everything lies.

    Raises:
        UsageError: if the folder holds no finished training, or its data is gone.
    """
    run = read_run(work_dir)
    steps, scores = run.values(METRIC)
    if not scores:
        raise UsageError(f'{work_dir} holds no validation with {METRIC} yet')
    cfg = read_config(run.config)
    if data_root:
        cfg.val_dataloader.dataset.data_root = data_root
    check_data(cfg, 'val_dataloader')
    draw(run, cfg, out, [read_run(other) for other in compare])
    best = int(np.argmax(scores))
    return '\n'.join([
        f'mIoU        {scores[best] / 100:.3f} on the validation set, at iteration {steps[best]}',
        f'picture     {out}',
        f'log         {run.log}',
        f'checkpoint  {run.checkpoint}',
    ])
