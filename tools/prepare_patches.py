#!/usr/bin/env python3
"""Cut large training images into overlapping crops: tools/prepare_patches.py INPUT OUTPUT [--size 512] [--overlap 256]"""
import argparse
import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from os import cpu_count
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from mmvisattn.cli.arguments import run_tool
from mmvisattn.cli.usage import Parser, UsageError, check_folder
from mmvisattn.files import remove_unfinished, write_whole
from mmvisattn.restoration.pictures import is_image
from mmvisattn.restoration.tiling import tile_starts

SETTINGS = '.crops.json'


def parse_args() -> argparse.Namespace:
    parser = Parser('Cut the images of a folder into overlapping square crops, which load faster. Images of equal names and '
                    'sizes, as degraded and clean ones, give crops of equal names. An interrupted call is resumed.')
    parser.add_argument('input', type=Path, help='a folder of images')
    parser.add_argument('output', type=Path, help='a folder for the crops: NAME-1.png, NAME-2.png, …')
    parser.add_argument('--size', type=int, default=512, help='side of a crop in pixels (default: %(default)s)')
    parser.add_argument('--overlap', type=int, default=256, help='pixels that neighbors share (default: %(default)s)')
    parser.add_argument('--keep-below', type=int, default=0, metavar='SIDE',
                        help='copy images whole unless both sides are larger than this (default: %(default)s)')
    parser.add_argument('--glob', default='*', help="which files of INPUT, such as '*/*NOISY*' (default: all)")
    parser.add_argument('--rename', nargs=2, metavar=('OLD', 'NEW'),
                        help='replace a part of the names, where those of degraded and clean images differ')
    parser.add_argument('--workers', type=int, default=cpu_count() or 1, help='processes (default: %(default)s)')
    args = parser.parse_args()
    if not 0 <= args.overlap < args.size:
        raise UsageError(f'--overlap {args.overlap} must be at least 0 and less than --size {args.size}')
    if args.workers < 1:
        raise UsageError(f'--workers {args.workers}: must be at least 1')
    return args


def crops(image: np.ndarray, size: int, overlap: int, keep_below: int) -> list[np.ndarray]:
    """The crops, row by row; the last ones of a row and a column end at the border. An image that is smaller stays whole."""
    height, width = image.shape[:2]
    if min(height, width) <= max(keep_below, size):
        return [image]
    return [image[top:top + size, left:left + size]
            for top in tile_starts(height, size, overlap) for left in tile_starts(width, size, overlap)]


def cut(path: Path, name: str, output: Path, size: int, overlap: int, keep_below: int) -> str | None:
    """Write the crops NAME-1.png, … of an image; returns what is wrong with it, if anything is."""
    # A flag of its own: the default would turn the image as its camera was held, and cut its depth.
    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED) if path.stat().st_size else None
    except cv2.error as error:  # more than 2^30 pixels
        return f'{path} cannot be read: {" ".join(str(error).split())}'
    if image is None or image.dtype not in (np.uint8, np.uint16):
        return f'{path} is not an image of 8 or 16 bits per channel'
    parts = crops(image, size, overlap, keep_below)
    targets = [output / f'{name}-{number}.png' for number in range(1, len(parts) + 1)]
    if not targets[-1].exists():  # they are written in order
        for target, part in zip(targets, parts):
            write_whole(target, cv2.imencode('.png', part)[1].tobytes())
    return None


def note_settings(args: argparse.Namespace) -> None:
    """Note with the crops how they were cut, so that those of different calls do not mix.

    Raises:
        UsageError: if the folder holds other crops, or images that no call has noted.
    """
    note = args.output / SETTINGS
    settings = dict(input=str(args.input.resolve()), size=args.size, overlap=args.overlap, keep_below=args.keep_below,
                    rename=args.rename)
    before = json.loads(note.read_text()) if note.is_file() else None
    if before != settings and (before or any(args.output.glob('*.png'))):
        raise UsageError(f'OUTPUT {args.output} holds other images' + (f': crops with {before}' if before else '')
                         + '; name another folder, or delete it first')
    args.output.mkdir(parents=True, exist_ok=True)
    write_whole(note, json.dumps(settings).encode())


def main() -> None:
    args = parse_args()
    if not args.input.is_dir():
        raise UsageError(f'there is no folder {args.input}')
    check_folder('OUTPUT', args.output)
    paths = sorted(path for path in args.input.glob(args.glob) if is_image(path))
    if not paths:
        raise UsageError(f'there are no images {args.input / args.glob}')
    names = [path.stem.replace(*args.rename) if args.rename else path.stem for path in paths]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f'{args.input} has several images {twice[0]}, whose crops would have equal names; --glob chooses')
    note_settings(args)
    remove_unfinished(args.output)
    work = partial(cut, output=args.output, size=args.size, overlap=args.overlap, keep_below=args.keep_below)
    failed = 0
    with ProcessPoolExecutor(args.workers) as pool:
        for fault in tqdm(pool.map(work, paths, names), total=len(paths), unit='image'):
            if fault:
                failed += 1
                tqdm.write(f'skipped: {fault}', file=sys.stderr)
    print(f'the crops of {len(paths) - failed} of {len(paths)} images are in {args.output}')
    if failed:
        raise UsageError(f'{failed} of {len(paths)} images could not be cut, see above')


if __name__ == '__main__':
    run_tool(main)
