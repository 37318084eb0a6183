#!/usr/bin/env python3
"""Restore images: tools/restore.py INPUT OUTPUT --checkpoint P [--config C] [--tile 512]"""
import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from tqdm import tqdm

from mmvisattn.cli.arguments import add_weights_option, checkpoint_path, load_weights, read_config, run_tool
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.usage import Parser, UsageError, check_file, check_folder
from mmvisattn.restoration.image_restorer import ImageRestorer
from mmvisattn.restoration.pictures import Picture, as_channels, check_format, read_picture, write_picture

SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')


def parse_args() -> argparse.Namespace:
    parser = Parser(
        'Restore an image, or all images of a folder. Size, bit depth and transparency stay as they are.')
    parser.add_argument('input', type=Path, help='an image, or a folder of images (without its subfolders)')
    parser.add_argument('output', type=Path, help='the image to write, or a folder for images of the same names')
    parser.add_argument('--config', type=Path, help='config of the model',
                        default=Path(__file__).parents[1]
                        / 'configs/restormer/restormer_gaussian-color-blind_8xb8-300k_dfwb-128x128.py')
    parser.add_argument('--checkpoint', required=True, help="a checkpoint of tools/train.py, or the authors' published one")
    add_weights_option(parser)
    parser.add_argument('--right', type=Path, help="a dual-pixel model's second view: as INPUT, which is then the left one")
    parser.add_argument('--tile', type=int, help='restore in square tiles of this many pixels a side, to save memory')
    parser.add_argument('--tile-overlap', type=int, default=32, help='pixels that tiles share (default: %(default)s)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='default: %(default)s')
    parser.add_argument('--overwrite', action='store_true', help='replace outputs that exist already')
    return parser.parse_args()


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
        raise UsageError('--right goes with a dual-pixel model, and only with one; this one has '
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
    names = sorted(path.name for path in args.input.iterdir() if path.suffix.lower() in SUFFIXES)
    if not names:
        raise UsageError(f'there are no images in {args.input} (looked for {", ".join(SUFFIXES)})')
    return [(args.input / name, args.output / name, args.right and args.right / name) for name in names]


def network_input(pixels: np.ndarray, channels: int) -> np.ndarray:
    """(N, C, H, W) for a network of ``channels``: colours one by one through a gray network, gray ones thrice through a
    colour network."""
    if channels == 1:
        return pixels.transpose(2, 0, 1)[:, None]
    return as_channels(pixels, 3).transpose(2, 0, 1)[None]


def restore(model: ImageRestorer, picture: Picture, right: Picture | None) -> Picture:
    channels = model.backbone.in_channels if right is None else 3
    views = [network_input(view.pixels, channels) for view in (picture, right) if view is not None]
    if len({view.shape for view in views}) > 1:
        raise ValueError(f'the two views differ in size: {views[0].shape[-2:]} and {views[1].shape[-2:]}')
    x = torch.from_numpy(np.concatenate(views, axis=1)).to(next(model.parameters()).device)
    with torch.inference_mode():
        restored = torch.stack([sample.restored for sample in model(x, mode='predict')]).float().cpu().numpy()
    pixels = restored[:, 0].transpose(1, 2, 0) if channels == 1 else restored[0].transpose(1, 2, 0)
    if pixels.shape[-1] != picture.pixels.shape[-1]:
        pixels = pixels.mean(-1, keepdims=True)
    return Picture(pixels, picture.alpha, picture.dtype)


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
    write_picture(target, restore(model, picture, read_picture(right) if right else None))


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
