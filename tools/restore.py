#!/usr/bin/env python3
"""Restore images: tools/restore.py INPUT OUTPUT [--checkpoint P] [--config C] [--tile 512]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import argparse
import sys
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from tqdm import tqdm

from mmvisattn.cli.arguments import add_weights_option, checkpoint_path, load_weights, read_config, run_tool
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.usage import Parser, UsageError, check_file, check_folder
from mmvisattn.restoration.image_restorer import ImageRestorer
from mmvisattn.restoration.pictures import check_format, image_files, read_picture, write_picture
from mmvisattn.restoration.restoring import restore_picture
from mmvisattn.weights.catalog import catalog

# Comes with the package.
DENOISER = 'restormer-small_gaussian-blind_1xb8-2000_bsds-48x48'
BLIND_DENOISER = Path(__file__).parents[1] / 'configs/restormer/restormer_gaussian-color-blind_8xb8-300k_dfwb-128x128.py'


def parse_args() -> argparse.Namespace:
    parser = Parser(
        'Restore an image, or all images of a folder. Size, bit depth and transparency are kept.')
    parser.add_argument('input', type=Path, help='an image, or a folder of images (without its subfolders)')
    parser.add_argument('output', type=Path, help='the image to write, or a folder for images of the same names')
    parser.add_argument('--checkpoint', help="a checkpoint of tools/train.py, or the authors' published one (default: that "
                        'of a small denoiser that comes with the package)')
    parser.add_argument('--config', type=Path, help="the checkpoint's config (default: the paper's blind color denoiser)")
    add_weights_option(parser)
    parser.add_argument('--right', type=Path, help='second view of a dual-pixel model: a file or folder like INPUT, '
                        'which is then the left view')
    parser.add_argument('--tile', type=int, help='restore in square tiles with this side in pixels, to save memory')
    parser.add_argument('--tile-overlap', type=int, default=32, help='pixels that tiles share (default: %(default)s)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='default: %(default)s')
    parser.add_argument('--overwrite', action='store_true', help='replace outputs that exist already')
    args = parser.parse_args()
    if args.checkpoint is None:
        if args.config:
            raise UsageError(f'--config {args.config} needs --checkpoint')
        args.checkpoint, args.config = DENOISER, catalog()[DENOISER].config
    args.config = args.config or BLIND_DENOISER
    return args


def build(args: argparse.Namespace) -> ImageRestorer:
    cfg = read_config(args.config)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    with config_errors(cfg):
        model = MODELS.build(cfg.model)
    if not isinstance(model, ImageRestorer):
        raise UsageError(f'--config {args.config} has a {type(model).__name__}, not an ImageRestorer')
    load_weights(model, checkpoint_path(args.checkpoint), args.weights)
    if args.tile is not None and not 0 <= args.tile_overlap < args.tile:
        raise UsageError(f'--tile-overlap {args.tile_overlap} must be at least 0 and less than --tile {args.tile}')
    if (args.right is not None) != (model.backbone.in_channels > 3):
        raise UsageError('--right is required for a dual-pixel model, and allowed only for one; this model has '
                         f'in_channels={model.backbone.in_channels}')
    model.tile, model.tile_overlap = args.tile, args.tile_overlap
    try:
        return model.eval().to(args.device)
    except (RuntimeError, AssertionError) as error:  # as torch names devices that it does not know, or does not find
        raise UsageError(f'--device {args.device}: {" ".join(str(error).split())}') from error


def files_to_restore(args: argparse.Namespace) -> list[tuple[Path, Path, Path | None]]:
    """(input, output, right view) of each image."""
    if not args.input.exists():
        raise UsageError(f'there is no image or folder {args.input}')
    if args.input.is_file():
        check_file('OUTPUT', args.output)
        try:
            check_format(args.output, read_picture(args.input))
        except ValueError as error:
            raise UsageError(str(error)) from error
        return [(args.input, args.output, args.right)]
    if args.output.is_file():
        raise UsageError(f'{args.input} is a folder, but {args.output} is a file')
    check_folder('OUTPUT', args.output)
    try:
        names = [path.name for path in image_files(args.input)]
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    return [(args.input / name, args.output / name, args.right and args.right / name) for name in names]


def restore_file(model: ImageRestorer, source: Path, target: Path, right: Path | None, overwrite: bool) -> None:
    """Restore one file.

    Raises:
        ValueError, OSError: before the restoration wherever that can be known.
    """
    if target.is_dir():
        raise ValueError(f'{target} is a folder')
    if target.exists() and (not overwrite or target.samefile(source)):
        raise ValueError(f'{target} exists already'
                         + (' and is the input itself' if target.samefile(source) else '; --overwrite replaces it'))
    picture = read_picture(source)
    check_format(target, picture)
    write_picture(target, restore_picture(model, picture, read_picture(right) if right else None))


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    files = files_to_restore(args)
    model = build(args)
    failed = 0
    for source, target, right in tqdm(files, unit='image'):
        try:
            restore_file(model, source, target, right, args.overwrite)
        except (ValueError, OSError) as error:
            failed += 1
            tqdm.write(f'skipped: {error}', file=sys.stderr)
    print(f'restored {len(files) - failed} of {len(files)} images to {args.output}')
    if failed:
        raise UsageError(f'{failed} of {len(files)} images could not be restored, see above')


if __name__ == '__main__':
    run_tool(main)
