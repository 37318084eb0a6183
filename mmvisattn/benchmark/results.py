"""Results of a benchmark as tables: on the terminal, in Markdown, CSV and JSON."""
import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from mmvisattn.cli.usage import UsageError

FORMAT = 1
# Columns of the CSV file: keys of a row.
COLUMNS = ('model', 'mode', 'part', 'batch', 'height', 'width', 'parameters', 'macs', 'latency', 'lower_quartile',
           'upper_quartile', 'images_per_second', 'memory', 'ratio', 'ratio_lower_quartile', 'ratio_upper_quartile', 'error')
# Fewer sizes say nothing about how cost grows.
SIZES_OF_A_CURVE = 3


def read_results(path: Path) -> dict:
    """Results that this tool has written.

    Raises:
        UsageError: if there are none in the file.
    """
    try:
        results = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UsageError(f'there are no results {path}') from error
    except ValueError as error:
        raise UsageError(f'{path} is no JSON: {error}') from error
    if not isinstance(results, dict) or results.get('format') != FORMAT:
        raise UsageError(f'{path} holds no results of this version of tools/benchmark.py; measure again')
    try:
        markdown(results)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f'{path} is damaged: its results lack a part; measure again') from error
    return results


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, in columns; the first row is the header."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    lines = ['| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)) + ' |' for row in rows]
    return '\n'.join([lines[0], '|' + '|'.join('-' * (width + 2) for width in widths) + '|', *lines[1:]])


def _short(value: float) -> str:
    """Three digits."""
    return f'{value:.3g}' if abs(value) < 1000 else f'{value:.0f}'


def _spread(row: dict, key: str, factor: float = 1) -> str:
    lower, upper = (factor * value for value in row['quartiles' if key == 'latency' else 'ratio_quartiles'])
    return f'{_short(factor * row[key])} ({_short(lower)} to {_short(upper)})'


def cells_of(results: dict) -> dict[tuple, list[dict]]:
    """The rows by (mode, part, batch, height, width)."""
    cells = defaultdict(list)
    for row in results['rows']:
        cells[tuple(row[key] for key in ('mode', 'part', 'batch', 'height', 'width'))].append(row)
    return dict(cells)


def named(cell: tuple) -> str:
    mode, part, batch, height, width = cell
    return f'{mode}, {part}, batch {batch}, {height} x {width}'


def _rows(results: dict, rows: Sequence[dict]) -> list[list[str]]:
    table_rows = [['model', 'parameters (M)', 'MACs (G)', 'latency (ms)', 'images/s', 'memory (MiB)',
                   f'ratio to {results["baseline"]}']]
    for row in rows:
        parameters = _short(results['models'][row['model']]['parameters'] / 1e6)
        macs = _short(row['macs'] / 1e9) if 'macs' in row else '-'
        if 'latency' not in row:
            table_rows.append([row['model'], parameters, macs, row.get('error', '-'), '-', '-', '-'])
            continue
        memory = '-' if row['memory'] is None else _short(row['memory'] / 2**20)
        table_rows.append([row['model'], parameters, macs, _spread(row, 'latency', 1e3), _short(row['images_per_second']),
                           memory, _spread(row, 'ratio') if 'ratio' in row else '-'])
    return table_rows


def exponents(results: dict, key: str = 'latency') -> dict[tuple, float]:
    """How a figure grows with the number of pixels: e of pixels**e, fitted to three sizes or more.

    Returns:
        By (model, mode, part, batch).
    """
    curves = defaultdict(list)
    for row in results['rows']:
        if row.get(key):
            curves[row['model'], row['mode'], row['part'], row['batch']].append(
                (math.log(row['height'] * row['width']), math.log(row[key])))
    fitted = {}
    for curve, points in curves.items():
        if len({x for x, _ in points}) >= SIZES_OF_A_CURVE:
            mean_x, mean_y = (sum(values) / len(points) for values in zip(*points))
            fitted[curve] = (sum((x - mean_x) * (y - mean_y) for x, y in points)
                             / sum((x - mean_x)**2 for x, _ in points))
    return fitted


def _growth(results: dict) -> str:
    fitted = {key: exponents(results, key) for key in ('latency', 'macs', 'memory')}
    if not fitted['macs']:
        return ''
    rows = [['model', 'measured', 'latency', 'MACs', 'memory']]
    for curve in fitted['macs']:
        model, mode, part, batch = curve
        rows.append([model, f'{mode}, {part}, batch {batch}',
                     *(f'{values[curve]:.2f}' if curve in values else '-' for values in fitted.values())])
    return f'How cost grows with the number of pixels: the exponent e of pixels^e\n\n{table(rows)}\n'


def described(environment: dict) -> str:
    """The environment in a sentence."""
    where = environment['processor'] if environment['device'] == 'CPU' else environment['device']
    settings = [f'{name}={value}' for name, value in environment['variables'].items()]
    packages = [f'{name} {version}' for name, version in environment['packages'].items()]
    return (f'{where}, {environment["threads"]} threads; torch {environment["torch"]}, mmvisattn {environment["mmvisattn"]} '
            f'({environment["commit"] or "no commit"}), {", ".join(packages)}'
            + (f'; {", ".join(settings)}' if settings else '') + f'; {environment["date"]}')


def options(settings: dict) -> str:
    """The settings that are not the default ones, in words."""
    words = [settings['amp'] or 'float32', *(name for name in ('compile', 'channels_last') if settings[name])]
    return ', '.join(words).replace('_', ' ')


def markdown(results: dict) -> str:
    """All tables."""
    parts = [f'{described(results["environment"])}; {options(results["settings"])}. Medians of {results["rounds"]} turns, '
             'with quartiles; memory in addition to the model.\n']
    for name, about in results['models'].items():
        if 'error' in about:
            parts.append(f'{name}: {about["error"]}\n')
    parts += [f'{named(cell)}\n\n{table(_rows(results, rows))}\n' for cell, rows in cells_of(results).items()]
    return '\n'.join(part for part in [*parts, _growth(results)] if part)


def as_csv(results: dict) -> str:
    """One line per row; times in seconds, memory in bytes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval='', extrasaction='ignore', lineterminator='\n')
    writer.writeheader()
    for row in results['rows']:
        flat = dict(row, parameters=results['models'][row['model']]['parameters'])
        for name, key in (('', 'quartiles'), ('ratio_', 'ratio_quartiles')):
            if key in row:
                flat[f'{name}lower_quartile'], flat[f'{name}upper_quartile'] = row[key]
        writer.writerow(flat)
    return text.getvalue()
