"""Evaluating a restorer on the test sets of its paper: those that are there, in a table beside the published values."""
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from mmvisattn.weights import ModelEntry

from .usage import UsageError

UNITS = dict(PSNR='PSNR (dB)')


def _missing(dataset: dict) -> Path | None:
    """The first file or folder of a data set that is not there."""
    root = Path(dataset['data_root'])
    paths = [root / path for path in (*dataset['data_prefix'].values(), *(dataset.get('subsets') or {}).values())]
    return next((path for path in paths if not path.exists()), None)


def keep_present_sets(cfg: Config) -> None:
    """Leave out the test sets of a list that are not there, and say so.

    Raises:
        UsageError: if none is there.
    """
    dataset = cfg.test_dataloader.dataset
    listed = dataset.get('datasets') or []
    if not any('test_set' in one for one in listed):
        return
    missing = {one.test_set: _missing(one) for one in listed}
    dataset.datasets = [one for one in listed if missing[one.test_set] is None]
    lines = [f'{name}: there is no {path}' for name, path in missing.items() if path]
    if not dataset.datasets:
        raise UsageError(f'none of the {len(listed)} test sets is there, {lines[0]} (working folder: {Path.cwd()}); put the '
                         'data there, or set its root: --cfg-options data_root=/path/to/data')
    for line in lines:
        print_log(f'left out {line}', logger='current')


def table(scores: dict[str, float], entry: ModelEntry | None) -> str:
    """The scores of the test sets by protocol, beside the published values, in Markdown; '' if no test set has a name.

    Args:
        scores: ``PROTOCOL/SET/METRIC`` to a value, as ``RestorationMetric`` returns them.
        entry: the model in the table of published models.
    """
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for name, value in scores.items():
        parts = name.split('/')
        if len(parts) > 2:
            rows.setdefault((parts[0], '/'.join(parts[1:-1])), {})[parts[-1]] = value
    metrics = list(dict.fromkeys(metric for row in rows.values() for metric in row))
    published = entry.figures if entry else {}
    lines = [['test set', 'protocol', *(title for metric in metrics for title in (UNITS.get(metric, metric), 'published'))]]
    lines.append(['---'] * len(lines[0]))
    for (protocol, of_set), row in rows.items():
        cells = [(row.get(metric), published.get((of_set, metric)), 2 if metric == 'PSNR' else 3) for metric in metrics]
        lines.append([of_set, protocol, *('' if value is None else f'{value:.{digits}f}'
                                          for ours, theirs, digits in cells for value in (ours, theirs))])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines) if rows else ''
