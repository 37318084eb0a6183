#!/usr/bin/env python3
"""Export a model for other runtimes: tools/export.py MODEL_OR_CONFIG [CHECKPOINT] [--format onnx] [--size 512 512]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import argparse
import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmvisattn.cli.arguments import read_config, run_tool
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.usage import Parser, UsageError, check_folder
from mmvisattn.dependencies import require
from mmvisattn.deploy import FORMATS, OUTPUTS, SUFFIXES, DeployedModel, deployed_model, export
from mmvisattn.deploy.exporting import (
    OLDEST_OPSET,
    OPSET,
    SMALLEST_SIDE,
    Comparison,
    exported_program,
    files_of,
    metadata_of,
    require_packages,
)
from mmvisattn.files import FULL
from mmvisattn.inference import load

DYNAMIC = 'dynamic'


def parse_args() -> argparse.Namespace:
    parser = Parser('Export a model for other runtimes, run the file, and compare it with PyTorch.')
    parser.add_argument('model', help="a model's name (mmvisattn.list_models()), a config, or a task: segmentation, "
                        'detection or restoration by a small model that comes with the package')
    parser.add_argument('checkpoint', nargs='?', help="path, URL, or official: the authors' (default: the weights that come "
                        'with the package)')
    parser.add_argument('--format', nargs='+', choices=FORMATS, default=['onnx'], help='default: onnx')
    parser.add_argument('--size', nargs='+', action='append', metavar=('HEIGHT', 'WIDTH'),
                        help=f'of the images, or {DYNAMIC} (the default): any from {SMALLEST_SIDE} pixels per side, and any '
                        'number of images; may be given several times, for several files')
    parser.add_argument('--output', choices=sorted({name for names in OUTPUTS.values() for name in names}),
                        help='what the file computes (default: labels, detections, restored, or maps of a backbone)')
    parser.add_argument('--with-preprocessing', action='store_true',
                        help='the file takes images as decoded: (batch, height, width, 3) uint8 RGB')
    parser.add_argument('--opset', type=int, default=OPSET, help="version of ONNX's operators (default: %(default)s)")
    parser.add_argument('--int8', type=Path, metavar='FOLDER', help='weights and activations of 8 bits, calibrated on the '
                        'images of a folder; with --format openvino')
    parser.add_argument('--accuracy-data', metavar='DATA_ROOT', help="root of the config's test data: measures what int8 "
                        'loses there, and keeps layers in float until that is at most --max-loss')
    parser.add_argument('--max-loss', type=float, help='points of mIoU or dB of PSNR (default: 1.0 points, 0.1 dB)')
    parser.add_argument('--half', action='store_true', help='weights of 16 bits')
    parser.add_argument('--out', type=Path, default=Path('exported'), help='folder of the files (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace files that exist already')
    args = parser.parse_args()
    args.size = list(dict.fromkeys(parse_size(words) for words in args.size or [[DYNAMIC]]))
    args.format = list(dict.fromkeys(args.format))
    if Path(args.model).suffix in SUFFIXES:
        raise UsageError(f'{args.model} is an exported file; give the config and checkpoint that it was made of')
    if args.int8 and (args.format != ['openvino'] or args.half):
        raise UsageError('--int8 is for --format openvino, without --half')
    if args.accuracy_data and not args.int8:
        raise UsageError('--accuracy-data measures what --int8 loses, and is given only with it')
    if args.max_loss is not None and not 0 <= args.max_loss < math.inf:
        raise UsageError(f'--max-loss {args.max_loss}: must be 0 or larger')
    if args.max_loss is not None and not args.accuracy_data:
        raise UsageError('--max-loss is the limit of the loss that --accuracy-data measures, and is given only with it')
    if args.opset < OLDEST_OPSET:
        raise UsageError(f'--opset {args.opset}: must be at least {OLDEST_OPSET}, the oldest that torch writes')
    return args


def parse_size(words: list[str]) -> tuple[int, int] | None:
    if words == [DYNAMIC]:
        return None
    if len(words) != 2 or not all(word.isdecimal() and int(word) > 0 for word in words):
        raise UsageError(f'--size {" ".join(words)}: give HEIGHT WIDTH in pixels, or {DYNAMIC}')
    return int(words[0]), int(words[1])


def path_of(args: argparse.Namespace, format: str, size: tuple[int, int] | None) -> Path:
    name = Path(args.model).stem if args.model.endswith('.py') else args.model
    sides = f'_{size[0]}x{size[1]}' if size else ''
    return args.out / f'{name}{sides}{"_int8" if args.int8 else "_half" if args.half else ""}{FORMATS[format][0]}'


def load_model(args: argparse.Namespace) -> tuple[DeployedModel, Config | None]:
    """The model to export, and its config, unless it is a backbone alone."""
    model = read_config(Path(args.model)) if args.model.endswith('.py') else args.model
    try:
        with nullcontext() if isinstance(model, str) else config_errors(model):
            loaded = load(model, args.checkpoint, 'cpu')
            return deployed_model(loaded, args.output, args.with_preprocessing), getattr(loaded, 'config', None)
    except (ValueError, FileNotFoundError, ImportError) as error:
        raise UsageError(str(error)) from error


def int8(args: argparse.Namespace, model: DeployedModel, config: Config | None, size: tuple[int, int] | None) -> Any:
    from mmvisattn.deploy.quantization import Quantizer
    return Quantizer(metadata_of(model, size), args.int8, config, args.accuracy_data, args.max_loss)


def report(path: Path, comparison: Comparison) -> str:
    differences = ', '.join(f'{name} {value:.1e}' for name, value in comparison.differences.items())
    megabytes = sum(file.stat().st_size for file in files_of(path)) / 2**20
    eager, exported = comparison.seconds
    return '\n'.join([
        f'{path}  {megabytes:.1f} MiB',
        f'  difference to PyTorch, as a share of the largest value: {differences}',
        f'  time of an image: {1000 * exported:.1f} ms; PyTorch {1000 * eager:.1f} ms; ratio {exported / eager:.2f} '
        f'({torch.get_num_threads()} threads)'])


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('ERROR')
    check_folder('--out', args.out)
    targets = [(format, size, path_of(args, format, size)) for size in args.size for format in args.format]
    existing = [file for *_, path in targets for file in files_of(path) if file.exists()]
    if existing and not args.overwrite:
        raise UsageError(f'{existing[0]} exists already; --overwrite replaces it')
    if args.accuracy_data and not Path(args.accuracy_data).is_dir():
        raise UsageError(f'--accuracy-data {args.accuracy_data}: there is no such folder')
    try:
        for format in args.format:
            require_packages(format)
        if args.int8:
            require('nncf', '--int8')
    except ImportError as error:
        raise UsageError(str(error)) from error
    model, config = load_model(args)
    programs: dict[tuple[int, int] | None, Any] = {}
    for format, size, path in targets:
        print(f'exporting {path} …', flush=True)
        try:
            quantizer = int8(args, model, config, size) if args.int8 else None
            programs[size] = programs.get(size) or exported_program(model, size)
            comparison = export(model, path, format, size, args.opset, args.half, quantizer, programs[size])
        except (ValueError, ImportError, FileNotFoundError) as error:
            raise UsageError(str(error)) from error
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise UsageError(f'{path}: {FULL[error.errno]}; make room, or name another --out') from error
        print(report(path, comparison), flush=True)
        if quantizer:
            print(quantizer.report)


if __name__ == '__main__':
    run_tool(main)
