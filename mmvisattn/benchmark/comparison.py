"""What has changed since an earlier benchmark, beyond noise."""
from .results import cells_of, named, options, table

# Repeats agree within this part on an idle machine.
NOISE = 0.05
ENVIRONMENT = ('processor', 'device', 'threads', 'torch', 'packages', 'variables', 'commit')


def _apart(old: dict, new: dict, key: str, spread: str) -> bool:
    """Whether two medians differ by more than the noise, and their quartiles do not overlap."""
    change = abs(new[key] / old[key] - 1)
    return change > NOISE and (new[spread][0] > old[spread][1] or new[spread][1] < old[spread][0])


def _changes(old: dict, new: dict, is_ratio: bool) -> tuple[bool, list[str]]:
    """Whether a row has changed, and its line of the table."""
    if 'error' in old or 'error' in new:
        words = [row.get('error', 'measured') for row in (old, new)]
        return words[0] != words[1], [*words, '']
    key, spread = ('ratio', 'ratio_quartiles') if is_ratio else ('latency', 'quartiles')
    values, notes = ['-', '-'], []
    if key in old and key in new:
        values = [f'{row[key]:.3f}' if is_ratio else f'{1e3 * row[key]:.1f} ms' for row in (old, new)]
        notes = [f'{new[key] / old[key] - 1:+.1%}'] if _apart(old, new, key, spread) else []
    if old['macs'] != new['macs']:
        notes.append(f'MACs {new["macs"] / old["macs"] - 1:+.2%}')
    if old.get('memory') and new.get('memory') and abs(new['memory'] / old['memory'] - 1) > NOISE:
        notes.append(f'memory {new["memory"] / old["memory"] - 1:+.0%}')
    return bool(notes), [*values, ', '.join(notes) or 'within noise']


def compared(old: dict, new: dict) -> str:
    """A report of the cells that changed. Ratios are compared where both have the same baseline, which noise of the
    machine touches least; else latencies. Cells and models that only one of the two has are left out."""
    lines = []
    for key in ENVIRONMENT:
        before, after = old['environment'].get(key), new['environment'].get(key)
        if before != after:
            lines.append(f'{key}: {before} before, {after} now')
    if old['settings'] != new['settings']:
        lines.append(f'settings: {options(old["settings"])} before, {options(new["settings"])} now')
    same_baseline = old['baseline'] == new['baseline']
    before = {(row['model'], *cell): row for cell, rows in cells_of(old).items() for row in rows}
    rows = [['model', 'measured', *(('ratio before', 'ratio now') if same_baseline else ('before', 'now')), 'change']]
    changed = 0
    for cell, found in cells_of(new).items():
        for row in found:
            earlier = before.get((row['model'], *cell))
            if earlier is None:
                continue
            is_ratio = same_baseline and 'ratio' in earlier and 'ratio' in row and row['model'] != new['baseline']
            has_changed, words = _changes(earlier, row, is_ratio)
            changed += has_changed
            rows.append([row['model'], named(cell), *words])
    if len(rows) == 1:
        return '\n'.join([*lines, 'no cell was measured both times'])
    return '\n'.join([*lines, '', table(rows), '', f'{changed} of {len(rows) - 1} changed beyond noise'])
