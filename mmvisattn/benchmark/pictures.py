"""Pictures of a benchmark: how latency grows with size and batch, and accuracy against latency."""
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from mmvisattn.files import written_whole

from .results import exponents
from .subjects import entry_of

# Lines without gaps, dashes, dots, both, and longer patterns of them, in points of line and gap.
STYLES = ((0, ()), (0, (4, 2)), (0, (1, 2)), (0, (4, 2, 1, 2)), (0, (4, 2, 1, 2, 1, 2)), (0, (8, 4)), (0, (1, 5)),
          (0, (8, 2, 2, 2)))
Kind = tuple[str, str]
VALUES: dict[str, Callable[[dict], int]] = {
    'size': lambda row: round((row['height'] * row['width'])**0.5),
    'batch': lambda row: row['batch'],
}
LABELS = dict(size='side in pixels (root of height x width)', batch='images per batch')


def _measured(results: dict, kind: Kind) -> list[dict]:
    return [row for row in results['rows'] if (row['mode'], row['part']) == kind and 'latency' in row]


def _color(results: dict, model: str) -> str:
    colors = colormaps['tab10' if len(results['models']) <= 10 else 'tab20'].colors  # type: ignore[attr-defined]
    return to_hex(colors[list(results['models']).index(model) % len(colors)])


def _plain_numbers(axes: Axes) -> None:
    """1 2 5 10 … on the axis of latencies, instead of powers of ten."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)


def _curves(axes: Axes, results: dict, kind: Kind, against: str) -> None:
    """Latency against 'size' or 'batch': a curve per model and value of the other one, its growth at its end."""
    other = 'batch' if against == 'size' else 'size'
    rows = _measured(results, kind)
    fitted = exponents(results)
    others = sorted({VALUES[other](row) for row in rows})
    for model in results['models']:
        for value, style in zip(others, cycle(STYLES)):
            points = sorted((VALUES[against](row), 1e3 * row['latency']) for row in rows
                            if row['model'] == model and VALUES[other](row) == value)
            if not points:
                continue
            axes.loglog(*zip(*points), color=_color(results, model), linestyle=style, marker='.')
            exponent = fitted.get((model, *kind, value)) if against == 'size' else None
            if exponent is not None:
                axes.annotate(f'{exponent:.2f}', points[-1], xytext=(5, -3), textcoords='offset points', fontsize='small',
                              color=_color(results, model))
    ticks = sorted({VALUES[against](row) for row in rows})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    _plain_numbers(axes)
    note = '\nat the ends: e of pixels^e' if against == 'size' and fitted else ''
    axes.set(title=f'{kind[0]}, {kind[1]}{note}', xlabel=LABELS[against], ylabel='latency (ms)')
    if len(others) > 1:
        axes.legend(handles=[Line2D([], [], color='black', linestyle=style, label=f'{other} {value}')
                             for value, style in zip(others, cycle(STYLES))], fontsize='small')


def _bars(axes: Axes, results: dict, kind: Kind) -> None:
    """The latency of one cell, with quartiles."""
    rows = _measured(results, kind)
    for i, row in enumerate(rows):
        lower, middle, upper = (1e3 * value for value in (row['quartiles'][0], row['latency'], row['quartiles'][1]))
        axes.barh(i, middle, xerr=[[middle - lower], [upper - middle]], color=_color(results, row['model']))
        axes.text(0.02, i, row['model'], transform=axes.get_yaxis_transform(), va='center', fontsize='small',
                  bbox=dict(facecolor='white', alpha=0.7, linewidth=0, pad=1))
    axes.set_yticks([])
    axes.invert_yaxis()
    row = rows[0]
    axes.set(title=f'{kind[0]}, {kind[1]}', xlabel=f'latency (ms), batch {row["batch"]}, {row["height"]} x {row["width"]}')
    axes.grid(alpha=0.3, axis='x')


def _timed(results: dict) -> list[dict]:
    """The rows whose latency stands beside published figures."""
    return [row for row in results['rows'] if row['mode'] == 'inference' and 'latency' in row]


def published(results: dict) -> dict[tuple[str, str], dict[str, float]]:
    """Published figures of the models whose latency was measured: by data set and metric, those of at least two of them."""
    figures: dict[tuple[str, str], dict[str, float]] = {}
    for name in dict.fromkeys(row['model'] for row in _timed(results)):
        entry = entry_of(results['models'][name]['model'])
        for key, value in (entry.figures if entry else {}).items():
            figures.setdefault(key, {})[name] = value
    return {key: values for key, values in figures.items() if len(values) > 1}


def _accuracy(axes: Axes, results: dict, key: tuple[str, str], values: dict[str, float]) -> None:
    """A published figure against the latency of the last cell of inference."""
    rows = [row for row in _timed(results) if row['model'] in values]
    cell = {name: rows[-1][name] for name in ('part', 'batch', 'height', 'width')}
    for row in rows:
        if cell.items() <= row.items():
            axes.plot(1e3 * row['latency'], values[row['model']], 'o', color=_color(results, row['model']))
    axes.set(title=f'published on {key[0]}', ylabel=key[1],
             xlabel=f'latency (ms), {cell["part"]}, batch {cell["batch"]}, {cell["height"]} x {cell["width"]}')
    axes.margins(0.2)
    axes.grid(alpha=0.3)


def draw(results: dict, out: Path) -> bool:
    """One picture of all; returns False, and draws none, if nothing was measured."""
    panels: list[Callable[[Axes], None]] = []
    kinds: Sequence[Kind] = list(dict.fromkeys((row['mode'], row['part']) for row in results['rows'] if 'latency' in row))
    for kind in kinds:
        rows = _measured(results, kind)
        several = [against for against in ('size', 'batch') if len({VALUES[against](row) for row in rows}) > 1]
        panels += [lambda axes, kind=kind, against=against: _curves(axes, results, kind, against)  # type: ignore[misc]
                   for against in several]
        if not several:
            panels.append(lambda axes, kind=kind: _bars(axes, results, kind))  # type: ignore[misc]
    panels += [lambda axes, key=key, values=values: _accuracy(axes, results, key, values)  # type: ignore[misc]
               for key, values in published(results).items()]
    if not panels:
        return False
    columns = min(3, len(panels))
    rows_of_panels = -(-len(panels) // columns)
    figure = Figure(figsize=(5.5 * columns, 4.5 * rows_of_panels), layout='constrained')
    grid = list(figure.subplots(rows_of_panels, columns, squeeze=False).flat)
    for axes, panel in zip(grid, panels):
        panel(axes)
    for axes in grid[len(panels):]:
        axes.set_axis_off()
    figure.legend(handles=[Line2D([], [], color=_color(results, model), marker='o', label=model)
                           for model in results['models']], loc='outside lower center', ncols=columns, fontsize='small')
    with written_whole(out) as path:
        figure.savefig(path, dpi=100)
    return True
