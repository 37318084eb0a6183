"""One pass over all files of a config's data sets: what is wrong with them, and how often each class occurs."""
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from tqdm import tqdm

from mmvisattn.datasets.coco import Fault
from mmvisattn.datasets.files import BadFile
from mmvisattn.datasets.samples import check_sample, files_of, unused_labels, why_empty
from mmvisattn.files import write_whole, written_whole

from .checks import LOADERS, annotation_faults, check_path, datasets_in
from .usage import one_line

CHUNK = 16


@dataclass
class DataReport:
    """What was found in the data of a data loader.

    Attributes:
        loader: its name in the config.
        samples: their number.
        faults: what is wrong.
        classes: their names.
        counts: for each class, labelled pixels (segmentation) or boxes (detection).
        images: for each class, images in which it occurs.
    """
    loader: str
    samples: int = 0
    faults: list[Fault] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)


def _fault(text: str, files: Sequence[str]) -> Fault:
    """A message that begins with the name of one of some files."""
    file = next((name for name in files if text.startswith(name)), files[0])
    return Fault(file, text.removeprefix(file).strip())


def _look(info: dict, classes: int) -> tuple[Fault | None, np.ndarray | None]:
    """The fault of a sample, and how many pixels have each label."""
    try:
        return None, check_sample(info, classes, thorough=True)
    except BadFile as error:
        return _fault(str(error), files_of(info)), None


def _looked(infos: Sequence[dict], classes: int, workers: int, name: str) -> Iterable:
    """``_look`` at all samples, in several processes, with a bar of progress."""
    bar = partial(tqdm, total=len(infos), desc=name, unit='sample', file=sys.stderr)
    if workers <= 1:
        return bar(map(partial(_look, classes=classes), infos))
    with ProcessPoolExecutor(workers) as pool:
        return list(bar(pool.map(partial(_look, classes=classes), infos, chunksize=CHUNK)))


def _count(report: DataReport, infos: Sequence[dict], pixels: Sequence[np.ndarray | None]) -> None:
    """Fill in how often each class occurs."""
    counts, images = np.zeros((2, len(report.classes)), np.int64)
    for each in pixels:
        if each is not None:
            own = each[:len(counts)]
            counts[:len(own)] += own
            images[:len(own)] += own > 0
    for info in infos:
        labels = Counter(box['bbox_label'] for box in info.get('instances') or ())
        labels.update(np.atleast_1d(info.get('gt_label', [])).tolist())
        for label, count in labels.items():
            counts[label] += count
            images[label] += 1
    report.counts, report.images = counts.tolist(), images.tolist()


def _check_samples(report: DataReport, settings: dict, workers: int) -> None:
    """Look at all samples of a data set of a config."""
    try:
        dataset = DATASETS.build(dict(settings, pipeline=[], serialize_data=False))
    except Exception as error:  # a data set may raise anything
        where = Path(settings.get('data_root') or '', settings.get('ann_file') or '')
        if not any(fault.stops for fault in report.faults):
            report.faults.append(Fault(str(where), f'cannot be read as {settings.get("type")}: {one_line(error)}'))
        return
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    report.samples += len(infos)
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()
    report.classes = list(classes)
    if not infos:
        report.faults.append(_fault(why_empty(dataset), [str(settings.get('data_root'))]))
        return
    found = list(_looked(infos, len(classes), workers, report.loader))
    report.faults += [fault for fault, _ in found if fault]
    report.faults += [Fault(str(path), 'belongs to no image') for path in unused_labels(dataset)]
    _count(report, infos, [pixels for _, pixels in found])


def check_datasets(cfg: Config, loaders: Sequence[str] = LOADERS, workers: int | None = None) -> list[DataReport]:
    """Check all data of a config; data that several loaders share is checked once.

    Args:
        cfg: the config.
        loaders: names of the data loaders.
        workers: processes; None: one for each core; 1: this one.

    Raises:
        UsageError: if a path of a data set is none.
    """
    workers = workers or len(os.sched_getaffinity(0))
    reports: list[DataReport] = []
    seen: list[dict] = []
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        for loader, settings in datasets_in(cfg):
            source = {key: value for key, value in settings.items() if key not in ('pipeline', 'test_mode', 'filter_cfg')}
            if loader not in loaders or source in seen:
                continue
            seen.append(source)
            for key in ('data_root', 'ann_file'):
                check_path(f'{loader}: {key}', settings.get(key) or '')
            report = DataReport(loader, faults=annotation_faults(settings))
            _check_samples(report, settings, workers)
            reports.append(report)
    return reports


def summary(reports: Sequence[DataReport], shown: int = 20) -> str:
    """What was found, in lines."""
    lines = []
    for report in reports:
        lines.append(f'{report.loader}: {report.samples} samples, '
                     f'{f"{len(report.faults)} faults" if report.faults else "no fault"}')
        lines += [f'    {fault}' for fault in report.faults[:shown]]
        if len(report.faults) > shown:
            lines.append(f'    … and {len(report.faults) - shown} more')
        if never := [name for name, count in zip(report.classes, report.counts) if not count]:
            lines.append(f'    never: {", ".join(never[:shown])}{" …" if len(never) > shown else ""}')
    return '\n'.join(lines)


def write_json(reports: Sequence[DataReport], path: Path) -> None:
    """Everything that was found."""
    write_whole(path, (json.dumps([asdict(report) for report in reports], indent=1) + '\n').encode())


def draw_frequencies(reports: Sequence[DataReport], path: Path) -> None:
    """A bar for each class and data loader: its share of all labelled pixels, or of all boxes."""
    drawn = [report for report in reports if sum(report.counts)]
    rows = max((len(report.classes) for report in drawn), default=1)
    figure = Figure(figsize=(2 + 4 * max(1, len(drawn)), 1.5 + 0.22 * rows), layout='constrained')
    for axes, report in zip(figure.subplots(1, max(1, len(drawn)), sharex=True, squeeze=False)[0], drawn):
        shares = np.array(report.counts) / sum(report.counts)
        axes.barh(range(len(shares)), shares, log=True, color='tab:blue')
        axes.set(yticks=range(len(shares)), yticklabels=report.classes, ylim=(len(shares) - 0.4, -0.6),
                 title=f'{report.loader}: {report.samples} samples', xlabel='share of labelled pixels or boxes')
        axes.grid(axis='x', alpha=0.3)
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, dpi=100)
