#!/usr/bin/env python3
"""Draw how far around its place a model looks: tools/receptive_field.py MODEL [--checkpoint P] [--images DIR]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import json
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from mmengine.device import get_device
from mmengine.logging import MMLogger
from torch import Tensor
from tqdm import tqdm

from mmvisattn.analysis.receptive_field import contributions, draw_fields, num_maps, sizes
from mmvisattn.benchmark.subjects import build, in_channels, is_known, unknown_message
from mmvisattn.cli.arguments import add_weights_option, checkpoint_path, load_weights, run_tool
from mmvisattn.cli.usage import Parser, UsageError, check_folder, one_line
from mmvisattn.files import write_whole
from mmvisattn.restoration.pictures import image_files

MEAN, DEVIATION = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
FILES = ('receptive_field.json', 'receptive_field.png')


def photographs(folder: Path, side: int, count: int) -> list[Tensor]:
    """Square images of a folder, normalized as ImageNet's."""
    try:
        paths = image_files(folder)
    except FileNotFoundError as error:
        raise UsageError(f'--images {folder}: {error}') from error
    images = []
    for path in paths[:count]:
        pixels = mmcv.imread(path, channel_order='rgb')
        if pixels is None:
            raise UsageError(f'--images: {path} is no image that can be read')
        image = (cv2.resize(pixels, (side, side)) - MEAN) / DEVIATION
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
    if there and not args.overwrite:
        raise UsageError(f'{args.out / there} is there already; --overwrite replaces it')
    MMLogger.get_current_instance().setLevel('ERROR')
    torch.manual_seed(args.seed)
    try:
        whole = build(args.model)
    except Exception as error:  # whatever a model raises
        raise UsageError(f'{args.model}: {one_line(error)}') from error
    if checkpoint:
        load_weights(whole, checkpoint, args.weights)
    model = getattr(whole, 'backbone', whole)
    device = get_device()
    model.to(device)
    model.eval()
    images = photographs(args.images, args.size, args.samples) if args.images else [
        torch.randn(1, in_channels(model), args.size, args.size) for _ in range(args.samples)]
    images = [image.to(device) for image in images]
    fields = [contributions(model, index, tqdm(images, desc=f'map {index}', unit='image'))
              for index in range(num_maps(model, images[0]))]
    found = [sizes(field) for field in fields]
    weights = checkpoint or 'weights of the package, or random ones'
    draw_fields(fields, [f'map {index}' for index in range(len(fields))],
                f'{args.model}, {args.size} x {args.size} ({weights})', args.out / FILES[1])
    content = dict(model=args.model, checkpoint=checkpoint, images=str(args.images) if args.images else 'random',
                   samples=len(images), size=args.size, seed=args.seed, sides=found)
    write_whole(args.out / FILES[0], json.dumps(content, indent=1).encode())
    for index, one in enumerate(found):
        print(f'map {index}: ' + ', '.join(f'{share} of the contributions within {side} x {side} pixels'
                                           for share, side in one.items()))
    print(f'wrote {", ".join(FILES)} to {args.out}')


if __name__ == '__main__':
    run_tool(main)
