#!/usr/bin/env python3
"""Restore images and videos: tools/restore.py INPUT OUTPUT [--task deraining] [--checkpoint P] [--memory GIB]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import repeat, zip_longest
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from PIL import Image
from tqdm import tqdm

from mmvisattn.cli.arguments import add_weights_option, checkpoint_path, load_weights, read_config, run_tool
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.usage import Parser, UsageError, check_file, check_folder, did_you_mean, nearest
from mmvisattn.inference import video
from mmvisattn.inference.loading import checked_device
from mmvisattn.restoration.from_checkpoint import restormer_settings
from mmvisattn.restoration.image_restorer import ImageRestorer
from mmvisattn.restoration.pictures import Picture, check_format, read_picture, write_picture
from mmvisattn.restoration.restoring import bytes_per_pixel, restore_picture
from mmvisattn.restoration.tiling import BLENDINGS, tile_for_memory
from mmvisattn.weights import DownloadError, find_model, list_models, official_weights, read_checkpoint

# OpenCV reads no larger images; Pillow's own limit would hide size and metadata of those above 179 million pixels.
Image.MAX_IMAGE_PIXELS = 2**30
AMP = dict(bfloat16=torch.bfloat16, float16=torch.float16)


def tasks() -> dict[str, str]:
    """The published models by task: 'deraining', 'gaussian-color-blind', …"""
    return {name.split('_')[1]: name for name in list_models('restormer_*_8xb8-300k_*')}


def parse_args() -> argparse.Namespace:
    parser = Parser('Restore an image or a video, or all of a folder. Images keep size, bit depth, transparency, EXIF data, '
                    'color profile and orientation.')
    parser.add_argument('input', type=Path, help='an image, a video, or a folder of them (without its subfolders)')
    parser.add_argument('output', type=Path,
                        help='the file to write, or a folder for files of the same names; videos are .mp4')
    parser.add_argument('--task', help="use the authors' model for a task, such as deraining (default: a small model that "
                        'comes with the package and removes noise)')
    parser.add_argument('--checkpoint', help="weights of a Restormer, of tools/train.py or the authors': path or URL. The "
                        'architecture is read from it')
    parser.add_argument('--config', type=Path, help='the config of a checkpoint of another network')
    add_weights_option(parser)
    parser.add_argument('--right', type=Path, help='second view of a dual-pixel model: a file or folder like INPUT, '
                        'which is then the left view')
    parser.add_argument('--tile', type=int, help='restore in square tiles with this side in pixels, to save memory')
    parser.add_argument('--tile-overlap', type=int, default=32, help='pixels that tiles share (default: %(default)s)')
    parser.add_argument('--tile-blending', choices=BLENDINGS, default='linear', help='how tiles are put together where they '
                        'overlap (default: %(default)s)')
    parser.add_argument('--memory', type=float, metavar='GIB',
                        help='choose the tiles so that about this much memory is taken')
    parser.add_argument('--amp', choices=AMP, help='compute in mixed precision')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='default: %(default)s')
    parser.add_argument('--overwrite', action='store_true', help='replace outputs that exist already')
    args = parser.parse_args()
    if args.config and not args.checkpoint:
        raise UsageError(f'--config {args.config} needs --checkpoint')
    if args.task and args.checkpoint:
        raise UsageError('--task chooses a published model, --checkpoint another one: give one of them')
    if args.task and args.task not in tasks():
        raise UsageError(f'--task {args.task} is not one of {", ".join(tasks())}{did_you_mean(nearest(args.task, tasks()))}')
    if args.memory is not None and (args.tile or not args.memory > 0):
        raise UsageError(f'--memory {args.memory} must be above 0, and chooses the tiles: give no --tile')
    return args


def weights_of(args: argparse.Namespace) -> str:
    """The checkpoint that the arguments choose."""
    if args.checkpoint:
        return checkpoint_path(args.checkpoint)
    entry = find_model(tasks()[args.task] if args.task else 'restoration')
    assert entry
    try:
        return str(entry.shipped or official_weights(entry))
    except DownloadError as error:
        raise UsageError(f'--task {args.task}: {error}') from error


def of_config(path: Path) -> ImageRestorer:
    """The network of a config, without its weights."""
    cfg = read_config(path)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    with config_errors(cfg):
        model = MODELS.build(cfg.model)
    if not isinstance(model, ImageRestorer):
        raise UsageError(f'--config {path} has a {type(model).__name__}, not an ImageRestorer')
    return model


def of_checkpoint(checkpoint: str, weights: str) -> ImageRestorer:
    """The Restormer that a checkpoint is of, without its weights."""
    try:
        state = read_checkpoint(checkpoint, weights)
    except (ValueError, FileNotFoundError) as error:
        raise UsageError(str(error)) from error
    try:
        settings = restormer_settings(state)
    except ValueError as error:
        raise UsageError(f'{checkpoint}: {error}; --config names the config of another network') from error
    return MODELS.build(dict(type='mmvisattn.ImageRestorer', backbone=dict(settings, type='mmvisattn.Restormer')))


def build(args: argparse.Namespace) -> ImageRestorer:
    model = of_config(args.config) if args.config else None
    checkpoint = weights_of(args)
    model = model or of_checkpoint(checkpoint, args.weights)
    load_weights(model, checkpoint, args.weights)
    if args.tile is not None and not 0 <= args.tile_overlap < args.tile:
        raise UsageError(f'--tile-overlap {args.tile_overlap} must be at least 0 and less than --tile {args.tile}')
    if (args.right is not None) != (model.backbone.in_channels > 3):
        raise UsageError('--right is required for a dual-pixel model, and allowed only for one; this model has '
                         f'in_channels={model.backbone.in_channels}')
    model.tile, model.tile_overlap, model.tile_blending = args.tile, args.tile_overlap, args.tile_blending
    try:
        return model.eval().to(checked_device(args.device))
    except ValueError as error:
        raise UsageError(str(error)) from error


def files_to_restore(args: argparse.Namespace) -> list[tuple[Path, Path, Path | None]]:
    """(input, output, right view) of each image and video."""
    if not args.input.exists():
        raise UsageError(f'there is no image, video or folder {args.input}')
    if args.input.is_file():
        check_file('OUTPUT', args.output)
        if video.is_video(args.input):
            if args.output.suffix.lower() != '.mp4':
                raise UsageError(f'OUTPUT {args.output}: videos are written as .mp4')
        else:
            try:
                check_format(args.output, read_picture(args.input))
            except ValueError as error:
                raise UsageError(str(error)) from error
        return [(args.input, args.output, args.right)]
    if args.output.is_file():
        raise UsageError(f'{args.input} is a folder, but {args.output} is a file')
    check_folder('OUTPUT', args.output)
    try:
        sources = video.images_and_videos(args.input)
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    targets = [args.output / (f'{path.stem}.mp4' if video.is_video(path) else path.name) for path in sources]
    if twice := [target for target, count in Counter(targets).items() if count > 1]:
        raise UsageError(f'{args.input} has several videos that would be written to {twice[0]}; rename one of them')
    return [(source, target, args.right and args.right / source.name) for source, target in zip(sources, targets)]


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of an image or a video; nothing of it is decoded. (0, 0) if it cannot be read."""
    try:
        if video.is_video(path):
            return video.size_of(path)
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, Image.DecompressionBombError):
        return 0, 0


def plan_memory(model: ImageRestorer, args: argparse.Namespace, sources: list[Path]) -> None:
    """Say what memory the largest image takes, and choose the tiles by ``--memory``."""
    height, width = max(map(size_of, sources), key=lambda size: size[0] * size[1])
    if not height:  # each will be reported when it cannot be read
        return
    try:
        each = bytes_per_pixel(model, AMP.get(args.amp))
        if args.memory is not None:
            model.tile = tile_for_memory(args.memory * 2**30 / each, height, width)
    except ValueError as error:
        if args.memory is not None:
            raise UsageError(f'--memory {args.memory}: {error}') from error
        return
    if model.tile is not None and model.tile_overlap >= model.tile:
        raise UsageError(f'--tile-overlap {model.tile_overlap} must be less than the tiles of {model.tile} pixels that '
                         f'--memory {args.memory} allows')
    pixels = height * width if model.tile is None else min(height * width, model.tile**2)
    how = f'tiles of {model.tile} x {model.tile}' if model.tile else 'no tiles'
    print(f'largest image {width} x {height}, {how}: about {each * pixels / 2**30:.2f} GiB')


def restore_image(model: ImageRestorer, source: Path, target: Path, right: Path | None, amp: torch.dtype | None) -> None:
    """Restore an image file.

    Raises:
        ValueError, OSError: before the restoration wherever that can be known.
    """
    picture = read_picture(source)
    check_format(target, picture)
    write_picture(target, restore_picture(model, picture, read_picture(right) if right else None, amp))


def restore_video(model: ImageRestorer, source: Path, target: Path, right: Path | None, amp: torch.dtype | None) -> None:
    """Restore a video file, frame by frame.

    Raises:
        ValueError, OSError: if a video cannot be read, or written.
    """
    def pictures(path: Path) -> Iterator[Picture]:
        for frame in video.frames(path):
            yield Picture(frame.astype(np.float32) / 255, None, np.dtype(np.uint8))

    def restored() -> Iterator[np.ndarray]:
        pairs = zip_longest(pictures(source), pictures(right)) if right else zip(pictures(source), repeat(None))
        for picture, other in tqdm(pairs, total=video.num_frames(source) or None, unit='frame', desc=source.name):
            if right and (picture is None or other is None):
                raise ValueError(f'{source} and {right} differ in their number of frames')
            yield (restore_picture(model, picture, other, amp).pixels * 255).round().astype(np.uint8)
    video.write_video(target, source, restored())


def restore_file(model: ImageRestorer, source: Path, target: Path, right: Path | None, args: argparse.Namespace) -> None:
    """Restore one file, unless its output is there.

    Raises:
        ValueError, OSError: before the restoration wherever that can be known.
    """
    if target.is_dir():
        raise ValueError(f'{target} is a folder')
    if target.exists() and (not args.overwrite or target.samefile(source)):
        raise ValueError(f'{target} exists already'
                         + (' and is the input itself' if target.samefile(source) else '; --overwrite replaces it'))
    (restore_video if video.is_video(source) else restore_image)(model, source, target, right, AMP.get(args.amp))


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    files = files_to_restore(args)
    model = build(args)
    plan_memory(model, args, [source for source, _, _ in files])
    failed = 0
    for source, target, right in tqdm(files, unit='file'):
        try:
            restore_file(model, source, target, right, args)
        except (ValueError, OSError) as error:
            failed += 1
            tqdm.write(f'skipped: {error}', file=sys.stderr)
    print(f'restored {len(files) - failed} of {len(files)} files to {args.output}')
    if failed:
        raise UsageError(f'{failed} of {len(files)} files could not be restored, see above')


if __name__ == '__main__':
    run_tool(main)
