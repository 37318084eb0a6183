#!/usr/bin/env python3
"""Draw how far around its place a model looks: tools/receptive_field.py MODEL [--checkpoint P] [--images DIR]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import json
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmengine.device import get_device
from mmengine.logging import MMLogger
from torch import Tensor
from tqdm import tqdm

from mmvisattn.analysis.receptive_field import (
    contributions,
    draw_fields,
    fingerprint,
    maps_of,
    read_fields,
    sizes,
    write_fields,
)
from mmvisattn.benchmark.environment import environment
from mmvisattn.benchmark.subjects import build, entry_of, in_channels, is_known, unknown_message
from mmvisattn.cli.arguments import add_weights_option, checkpoint_path, load_weights, run_tool
from mmvisattn.cli.usage import Parser, UsageError, check_folder, one_line
from mmvisattn.files import write_whole
from mmvisattn.models import Restormer
from mmvisattn.restoration.image_restorer import ImageRestorer
from mmvisattn.restoration.pictures import image_files

MEAN, DEVIATION = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
FILES = ('receptive_field.json', 'receptive_field.png')


def normalization(whole: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the pixels (0 to 255) of a model's images: its own, those of a restorer, or ImageNet's."""
    own: Any = getattr(whole, 'data_preprocessor', None)
    if getattr(own, 'mean', None) is not None:
        return own.mean.numpy().ravel(), own.std.numpy().ravel()
    if isinstance(whole, (ImageRestorer, Restormer)):
        return np.zeros(1), np.full(1, 255.0)
    return MEAN, DEVIATION


def weights_of(model: str, checkpoint: str | None) -> str:
    """The file that a model's weights come from, or that they are random."""
    entry = entry_of(model)
    return checkpoint or (entry.shipped.name if entry and entry.shipped else 'random weights')


def photographs(folder: Path, whole: Any, side: int, count: int) -> list[Tensor]:
    """Square images of a folder, gray ones for a model of gray images, normalized as its images are."""
    try:
        paths = image_files(folder)
    except FileNotFoundError as error:
        raise UsageError(f'--images {folder}: {error}') from error
    channels = in_channels(whole)
    if channels not in (1, 3):
        raise UsageError(f'--images {folder}: the model takes {channels} channels, so leave out --images')
    mean, deviation = normalization(whole)
    images = []
    for path in paths[:count]:
        pixels = mmcv.imread(path, 'grayscale' if channels == 1 else 'color', channel_order='rgb')
        if pixels is None:
            raise UsageError(f'--images: {path} is no image that can be read')
        image = (cv2.resize(pixels, (side, side)).reshape(side, side, channels) - mean) / deviation
        images.append(torch.from_numpy(image).float().permute(2, 0, 1)[None])
    return images


def main() -> None:
    parser = Parser('Draw the effective receptive field of every map of a backbone, and state its size.')
    parser.add_argument('model', help="a config, a model's name, or a registered backbone, as for tools/benchmark.py")
    parser.add_argument('--checkpoint', help='weights of the whole model or of the backbone (default: those that come with '
                        'the package, else random)')
    add_weights_option(parser)
    parser.add_argument('--images', type=Path, help='folder of photographs (default: random pixels)')
    parser.add_argument('--samples', type=int, default=8, help='number of images (default: %(default)s)')
    parser.add_argument('--size', type=int, default=512, help='side of the square images (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of random weights and pixels (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('receptive_field'), help='folder (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace results that exist already')
    args = parser.parse_args()
    for name in ('samples', 'size'):
        if getattr(args, name) < 1:
            raise UsageError(f'--{name} {getattr(args, name)}: must be at least 1')
    if not is_known(args.model):
        raise UsageError(unknown_message(args.model))
    checkpoint = checkpoint_path(args.checkpoint) if args.checkpoint else None
    check_folder('--out', args.out)
    there = next((name for name in FILES if (args.out / name).exists()), None)
    unfinished = args.out / 'fields.npz'
    if there and not (args.overwrite or unfinished.is_file()):
        raise UsageError(f'{args.out / there} is there already; --overwrite replaces it')
    MMLogger.get_current_instance().setLevel('ERROR')
    torch.manual_seed(args.seed)
    try:
        whole = build(args.model)
    except Exception as error:  # whatever a model raises
        raise UsageError(f'{args.model}: {one_line(error)}') from error
    if checkpoint:
        load_weights(whole, checkpoint, args.weights)
    device = get_device()
    model = getattr(whole, 'backbone', whole).to(device).eval()
    images = photographs(args.images, whole, args.size, args.samples) if args.images else [
        torch.randn(1, in_channels(model), args.size, args.size) for _ in range(args.samples)]
    images = [image.to(device) for image in images]
    with torch.no_grad():
        maps = maps_of(model, images[0])
    subject = dict(model=args.model, checkpoint=checkpoint, weights=weights_of(args.model, checkpoint),
                   images=str(args.images.resolve()) if args.images else 'random', samples=len(images), size=args.size,
                   seed=args.seed, fingerprint=fingerprint([*images, *maps]))
    fields = [] if args.overwrite else read_fields(unfinished, subject)
    if there and not (args.overwrite or fields):
        raise UsageError(f'{args.out / there} is there already; --overwrite replaces it')
    for index in range(len(fields), len(maps)):
        fields.append(contributions(model, index, tqdm(images, desc=f'map {index}', unit='image')))
        write_fields(unfinished, subject, fields)
    found = [sizes(field) for field in fields]
    draw_fields(fields, [f'map {index}' for index in range(len(fields))],
                f'{args.model}, {args.size} x {args.size} ({subject["weights"]})', args.out / FILES[1])
    content = dict(**subject, environment=environment(device), sides=found)
    write_whole(args.out / FILES[0], json.dumps(content, indent=1).encode())
    unfinished.unlink()
    for index, one in enumerate(found):
        print(f'map {index}: ' + ', '.join(f'{share} of the contributions within {side} x {side} pixels'
                                           for share, side in one.items()))
    if any(side == args.size for one in found for side in one.values()):
        print(f'a field of {args.size} x {args.size} pixels is cut off by the image; a larger --size may show more of it')
    print(f'wrote {", ".join(FILES)} to {args.out}')


if __name__ == '__main__':
    run_tool(main)
