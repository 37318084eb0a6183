"""What has changed since an earlier benchmark, beyond noise."""
from pathlib import Path

from .results import cells_of, named, options, table

# Repeats agree within this part on an idle machine; memory besides within so many bytes, as it comes in pages and pools.
NOISE = 0.05
MEMORY_NOISE = 4 * 2**20
ENVIRONMENT = ('processor', 'device', 'threads', 'torch', 'packages', 'variables', 'commit')


def _apart(old: dict, new: dict, key: str, spread: str) -> bool:
    """Whether two medians differ by more than the noise, and their quartiles do not overlap."""
    change = abs(new[key] / old[key] - 1)
    return change > NOISE and (new[spread][0] > old[spread][1] or new[spread][1] < old[spread][0])


def _memory_apart(old: dict, new: dict) -> bool:
    if not (old.get('memory') and new.get('memory')):
        return False
    change = abs(new['memory'] - old['memory'])
    return change > MEMORY_NOISE and change > NOISE * old['memory']


def _changes(old: dict, new: dict, is_ratio: bool, is_yardstick: bool) -> tuple[bool, list[str]]:
    """Whether a row has changed, and its line of the table. The latency of a yardstick is that of the machine."""
    if 'error' in old or 'error' in new:
        words = [row.get('error', 'measured') for row in (old, new)]
        return words[0] != words[1], [*words, '']
    key, spread = ('ratio', 'ratio_quartiles') if is_ratio else ('latency', 'quartiles')
    values, notes = ['-', '-'], []
    if key in old and key in new:
        values = [f'ratio {row[key]:.3f}' if is_ratio else f'{1e3 * row[key]:.1f} ms' for row in (old, new)]
        notes = [f'{new[key] / old[key] - 1:+.1%}'] if _apart(old, new, key, spread) and not is_yardstick else []
    if old['macs'] != new['macs']:
        notes.append(f'MACs {new["macs"] / old["macs"] - 1:+.2%}')
    if _memory_apart(old, new):
        notes.append(f'memory {new["memory"] / old["memory"] - 1:+.0%}')
    return bool(notes), [*values, ', '.join(notes) or ('the baseline' if is_yardstick else 'within noise')]


def _differences(old: dict, new: dict) -> list[str]:
    """How two benchmarks differ besides their figures, a line each."""
    pairs = [(key, old['environment'].get(key), new['environment'].get(key)) for key in ENVIRONMENT]
    pairs.append(('settings', options(old['settings']), options(new['settings'])))
    both = [name for name in new['models'] if name in old['models']]
    pairs += [(f'{name} is another model', _model(old, name), _model(new, name)) for name in both]
    return [f'{name}: {before} before, {after} now' for name, before, after in pairs if before != after]


def _model(results: dict, name: str) -> str:
    """What was measured under a name; of a config, its name without its folder."""
    text = results['models'][name]['model']
    return Path(text).name if text.endswith('.py') else text


def compared(old: dict, new: dict) -> str:
    """A report of the cells that changed.

    Ratios are compared where both have the same baseline, which noise of the machine touches least; else latencies. The
    latency of that baseline itself tells how fast the machine was, so it does not count. Cells and models that only one of
    the two has are left out, and so are names that stand for another model now.
    """
    same_baseline = old['baseline'] == new['baseline'] and _model(old, old['baseline']) == _model(new, new['baseline'])
    before = {(row['model'], *cell): row for cell, rows in cells_of(old).items() for row in rows}
    rows = [['model', 'measured', 'before', 'now', 'change']]
    changed = 0
    for cell, found in cells_of(new).items():
        for row in found:
            name = row['model']
            earlier = before.get((name, *cell))
            if earlier is None or _model(old, name) != _model(new, name):
                continue
            is_ratio = same_baseline and 'ratio' in earlier and 'ratio' in row
            is_yardstick = is_ratio and name == new['baseline']
            has_changed, words = _changes(earlier, row, is_ratio and not is_yardstick, is_yardstick)
            changed += has_changed
            rows.append([name, named(cell), *words])
    lines = _differences(old, new)
    if len(rows) == 1:
        return '\n'.join([*lines, 'no cell was measured both times'])
    return '\n'.join([*lines, '', table(rows), '', f'{changed} of {len(rows) - 1} changed beyond noise'])
