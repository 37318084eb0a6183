"""Scores of a segmentor or detector on corrupted images."""
import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS
from torch import nn

from mmvisattn.files import written_whole

CLEAN = 'clean'


def corrupted_pipeline(pipeline: Sequence[dict], corruption: str, severity: int, seed: int) -> list[dict]:
    """A test pipeline that corrupts the images that it has loaded.

    Raises:
        ValueError: if it loads none.
    """
    types = [str(step['type']).rpartition('.')[2] for step in pipeline]
    if 'LoadImageFromFile' not in types:
        raise ValueError(f'the test pipeline has no LoadImageFromFile after which to corrupt images, but {", ".join(types)}')
    place = types.index('LoadImageFromFile') + 1
    step = dict(type='mmvisattn.Corruption', corruption=corruption, severity=severity, seed=seed)
    return [*pipeline[:place], step, *pipeline[place:]]


def score(cfg: Config, model: nn.Module, corruption: str | None, severity: int, seed: int,
          step: Callable[[], None]) -> dict[str, float]:
    """The metrics on the test data.

    Args:
        cfg: a config; its ``test_dataloader`` and ``test_evaluator`` are used.
        model: a segmentor or detector in eval mode.
        corruption: None: the images as they are.
        severity, seed: see ``Corruption``.
        step: called after each image.
    """
    loaded = copy.deepcopy(cfg.test_dataloader.dataset)
    if corruption is not None:
        loaded.pipeline = corrupted_pipeline(loaded.pipeline, corruption, severity, seed)
    dataset: Any = DATASETS.build(loaded)
    evaluator = Evaluator(copy.deepcopy(cfg.test_evaluator))
    evaluator.dataset_meta = dataset.metainfo
    tested: Any = model
    for index in range(len(dataset)):
        batch = pseudo_collate([dataset[index]])
        with torch.inference_mode():
            evaluator.process(data_samples=tested.test_step(batch), data_batch=batch)
        step()
    return {name: float(value) for name, value in evaluator.evaluate(len(dataset)).items()}


def summarized(cells: Mapping[str, Mapping[str, float]]) -> dict:
    """Means over the severities and over all.

    Args:
        cells: the score on clean images, and by corruption and severity: ``{'clean': {'0': …}, 'fog': {'1': …, …}, …}``.

    Returns:
        The score on clean images; the mean of each corruption; ``mPC``, the mean performance under corruption, of these;
        ``rPC``, its ratio to the clean score (as in https://arxiv.org/abs/1907.07484).
    """
    means = {name: float(np.mean(list(scores.values()))) for name, scores in cells.items() if name != CLEAN}
    clean, mean = cells[CLEAN]['0'], float(np.mean(list(means.values())))
    return dict(clean=clean, mPC=mean, rPC=mean / clean if clean else None, corruptions=means)


def draw_scores(cells: Mapping[str, Mapping[str, float]], metric: str, title: str, out: Path) -> None:
    """A heat map: corruptions by severities."""
    names = [name for name in cells if name != CLEAN]
    severities = sorted({severity for name in names for severity in cells[name]})
    values = np.array([[cells[name].get(severity, np.nan) for severity in severities] for name in names])
    figures = summarized(cells)
    figure = Figure(figsize=(max(7, 2.5 + len(severities)), 1.8 + 0.4 * len(names)), layout='constrained')
    axes = figure.subplots()
    shown = axes.imshow(values, vmin=0, vmax=max(figures['clean'], np.nanmax(values)), cmap='viridis', aspect='auto')
    for row, column in np.ndindex(values.shape):
        axes.text(column, row, f'{values[row, column]:.3g}', ha='center', va='center', color='white', fontsize=9,
                  bbox=dict(facecolor='black', alpha=0.35, linewidth=0, pad=1))
    axes.set_xticks(range(len(severities)), severities)
    axes.set_yticks(range(len(names)), [f'{name.replace("_", " ")}  {figures["corruptions"][name]:.3g}' for name in names])
    axes.set(xlabel='severity', title=f'{title}\n{metric}: clean {figures["clean"]:.4g}, corrupted {figures["mPC"]:.4g}')
    figure.colorbar(shown, ax=axes)
    with written_whole(out) as path:
        figure.savefig(path, dpi=100)
