#!/usr/bin/env python3
"""Measure models side by side: tools/benchmark.py MODEL [MODEL …] [--size 512 512] [--batch 1 8] [--out DIR]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from mmvisattn.benchmark.comparison import compared
from mmvisattn.benchmark.environment import busy_warning, environment
from mmvisattn.benchmark.measuring import MODES, Cell, Settings
from mmvisattn.benchmark.pictures import draw
from mmvisattn.benchmark.results import FORMAT, as_csv, markdown, read_results
from mmvisattn.benchmark.runs import measure
from mmvisattn.benchmark.subjects import NAMED, PARTS, is_known, unknown_message
from mmvisattn.cli.arguments import run_tool
from mmvisattn.cli.usage import Parser, UsageError, check_folder
from mmvisattn.files import write_whole

FILES = ('results.json', 'results.csv', 'results.md', 'results.png')
GIB = 2**30


def parse_args() -> argparse.Namespace:
    parser = Parser('Measure parameters, multiply-adds (MACs), latency and memory of models side by side.')
    parser.add_argument('models', nargs='+', metavar='MODEL',
                        help="a config; a model's name (mmvisattn.list_models()); a registered backbone with its arguments, "
                        f"such as 'mmseg.ResNet(depth=50)'; or one of {', '.join(NAMED)}. NAME=MODEL shows it as NAME. Or "
                        'one results.json, to show it again')
    parser.add_argument('--size', type=int, nargs='+', default=[512, 512], metavar='H W',
                        help='heights and widths of the images (default: 512 512)')
    parser.add_argument('--batch', type=int, nargs='+', default=[1], help='images per pass (default: 1)')
    parser.add_argument('--mode', nargs='+', choices=MODES, default=['inference'],
                        help='train: forward and backward of the mean of all outputs (default: inference)')
    parser.add_argument('--part', nargs='+', choices=PARTS, default=['backbone'],
                        help="of segmentors and detectors: logits: up to the heads' raw outputs; output: label map at full "
                        'size, boxes, restored image (default: backbone)')
    parser.add_argument('--baseline', help='the model that ratios are to (default: the first one)')
    parser.add_argument('--rounds', type=int, default=11,
                        help='turns of each model in each cell; 0: only count (default: %(default)s)')
    parser.add_argument('--device', help='default: cuda if PyTorch finds a GPU, else cpu')
    parser.add_argument('--threads', type=int, help="threads on a CPU (default: torch's choice)")
    parser.add_argument('--amp', choices=['float16', 'bfloat16'], help='mixed precision')
    parser.add_argument('--compile', action='store_true', help='with torch.compile')
    parser.add_argument('--channels-last', action='store_true', help='weights and images are channels last in memory')
    parser.add_argument('--memory-limit', type=float, metavar='GIB',
                        help='what a cell may take of the memory of a CPU (default: what is free)')
    parser.add_argument('--out', type=Path, help=f'folder to write {", ".join(FILES)} to')
    parser.add_argument('--overwrite', action='store_true', help='replace results that exist already')
    parser.add_argument('--compare', type=Path, metavar='JSON', help='report what has changed since earlier results')
    return parser.parse_args()


def named_models(texts: Sequence[str]) -> dict[str, str]:
    """The models by the names to show."""
    models: dict[str, str] = {}
    for text in texts:
        name, is_named, model = text.partition('=')
        if not (is_named and is_known(model)):  # a registered type has arguments
            name, model = Path(text).stem if text.endswith('.py') else text, text
        if not is_known(model):
            raise UsageError(unknown_message(model))
        if model.endswith('.py') and not Path(model).is_file():
            raise UsageError(f'there is no config {model}')
        if name in models:
            raise UsageError(f'{name} is given twice; NAME=MODEL names one of them')
        models[name] = model
    return models


def cells(args: argparse.Namespace) -> list[Cell]:
    """Everything to measure, in order."""
    if len(args.size) % 2:
        raise UsageError(f'--size {" ".join(map(str, args.size))}: a height and a width are needed for each size')
    if args.rounds < 0:
        raise UsageError(f'--rounds {args.rounds}: must be at least 0')
    for name in ('size', 'batch', 'threads'):
        given = getattr(args, name)
        if given is not None and min(given if isinstance(given, list) else [given]) < 1:
            raise UsageError(f'--{name} must be at least 1')
    sizes = list(zip(args.size[::2], args.size[1::2]))
    return [Cell(mode, part, batch, *size) for mode in args.mode for part in args.part for size in sizes
            for batch in args.batch if mode == 'inference' or part != 'output']


def settings_of(args: argparse.Namespace) -> Settings:
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    if device.partition(':')[0] not in ('cpu', 'cuda'):
        raise UsageError(f'--device {device}: must be cpu, cuda, or one of several such as cuda:1')
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f'--device {device}: {str(error).splitlines()[0]}') from error
    if args.memory_limit is not None and not 0 < args.memory_limit < GIB:
        raise UsageError(f'--memory-limit {args.memory_limit}: must be a number of GiB above 0')
    limit = int(args.memory_limit * GIB) if args.memory_limit else free_memory()
    return Settings(device, args.amp, args.compile, args.channels_last, args.threads, limit)


def free_memory() -> int | None:
    """Bytes that can be allocated without swapping; None where the system does not report it."""
    path = Path('/proc/meminfo')
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith('MemAvailable')), None)


def measured(args: argparse.Namespace) -> dict:
    """Measure, with progress."""
    models = named_models(args.models)
    baseline = args.baseline or next(iter(models))
    if baseline not in models:
        raise UsageError(f'--baseline {baseline} is none of the models: {", ".join(models)}')
    todo = cells(args)
    if not todo:
        raise UsageError('--mode train measures --part backbone and logits')
    settings = settings_of(args)
    found = environment(settings.device, settings.threads)
    if args.rounds and (warning := busy_warning(found)):
        print(f'warning: {warning}', file=sys.stderr)
    with tqdm(total=len(todo) * max(1, args.rounds), unit='round') as bar:

        def step(cell: Cell) -> None:
            bar.set_description(str(cell), refresh=False)
            bar.update()

        about, rows = measure(models, todo, settings, args.rounds, baseline, step)
    if not rows:
        raise UsageError('; '.join(f'{name}: {model["error"]}' for name, model in about.items()))
    return dict(format=FORMAT, environment=found, settings=asdict(settings), rounds=args.rounds, baseline=baseline,
                models=about, rows=rows)


def write(results: dict, out: Path) -> None:
    for name, content in zip(FILES, (json.dumps(results, indent=1), as_csv(results), markdown(results))):
        write_whole(out / name, content.encode())
    written = FILES if draw(results, out / FILES[-1]) else FILES[:-1]
    print(f'wrote {", ".join(written)} to {out}')


def main() -> None:
    args = parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # which ends the workers, too
    earlier = read_results(args.compare) if args.compare else None
    if args.out:
        check_folder('--out', args.out)
        there = [name for name in FILES if (args.out / name).exists()]
        if there and not args.overwrite:
            raise UsageError(f'--out {args.out}: {there[0]} is there already; --overwrite replaces it')
        if blocked := next((name for name in there if (args.out / name).is_dir()), None):
            raise UsageError(f'--out {args.out}: {args.out / blocked} is a folder; name another --out')
    shown_again = len(args.models) == 1 and args.models[0].endswith('.json')
    results = read_results(Path(args.models[0])) if shown_again else measured(args)
    print(markdown(results))
    if args.out:
        write(results, args.out)
    if earlier:
        print(compared(earlier, results))


if __name__ == '__main__':
    run_tool(main)
