#!/usr/bin/env python3
"""Draw what a CrossFormer or SMT attends to: tools/visualize_attention.py IMAGE [--config C --checkpoint P]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from PIL import Image
from torch import nn

from mmvisattn.cli.arguments import add_weights_option, checkpoint_path, load_weights, read_config, run_tool
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.usage import Parser, UsageError, check_figure, one_line
from mmvisattn.config import model_of
from mmvisattn.models import SMT, CrossFormer
from mmvisattn.visualization.attention_picture import draw_stages, normalized
from mmvisattn.visualization.crossformer import attended_in_stages
from mmvisattn.visualization.smt import modulation_in_stages
from mmvisattn.weights import load_official

IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
# A photograph of 12 megapixels. A pixel takes 0.4 kilobytes of memory in CrossFormer-S and 0.8 in SMT-L.
MOST_PIXELS = 12_500_000
MOST_STRETCHED = 16
PANELS: dict[type, Callable] = {CrossFormer: attended_in_stages, SMT: modulation_in_stages}
BACKBONES: dict[str, tuple[Any, str]] = {
    f'{family.__name__.lower()}-{arch}': (family, arch)
    for family in (CrossFormer, SMT) for arch in family.archs}


def fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'{value} is not a fraction from 0 to 1')
    return value


def panels_of(model: nn.Module) -> Callable | None:
    """The function that makes the panels of this backbone; None if it cannot be drawn."""
    return next((panels for family, panels in PANELS.items() if isinstance(model, family)), None)


def build(args: argparse.Namespace) -> tuple[nn.Module, dict]:
    """The backbone with its weights, and the mean and standard deviation of its input."""
    checkpoint = checkpoint_path(args.checkpoint) if args.checkpoint else None
    if args.config is None:
        family, arch = BACKBONES[args.backbone]
        model = family(arch)
        model.init_weights()
        if checkpoint:
            try:
                load_official(model, checkpoint, args.weights)
            except (ValueError, FileNotFoundError) as error:
                raise UsageError(f'{error} (a checkpoint trained here also needs its --config)') from error
        return model.eval(), IMAGENET
    cfg = read_config(args.config)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    with config_errors(cfg):
        model = MODELS.build(model_of(cfg))
        model.init_weights()
    if checkpoint:
        load_weights(model, checkpoint, args.weights)
    backbone = getattr(model, 'backbone', model)
    if panels_of(backbone) is None:
        raise UsageError(f'--config {args.config} has a {type(backbone).__name__}; only '
                         f'{" and ".join(family.__name__ for family in PANELS)} can be drawn')
    preprocessor = model_of(cfg).get('data_preprocessor') or {}
    normalization = {name: list(preprocessor.get(name) or IMAGENET[name]) for name in IMAGENET}
    return backbone.eval(), normalization


def read_image(path: Path) -> np.ndarray:
    """An image as (H, W, 3) RGB.

    Raises:
        UsageError: if there is none, it is broken, or too large to be drawn in memory.
    """
    if not path.is_file():
        raise UsageError(f'there is no image {path}')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error', Image.DecompressionBombWarning)
            with Image.open(path) as header:  # which reads no pixels yet
                width, height = header.size
        if width * height > MOST_PIXELS or max(width, height) > MOST_STRETCHED * min(width, height):
            raise UsageError(f'the image {path} has {width} x {height} pixels; at most {MOST_PIXELS:,} can be drawn, with '
                             f'sides of at most {MOST_STRETCHED} : 1; shrink or cut it')
        return mmcv.imread(path, channel_order='rgb')
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UsageError(f'the image {path} is too large: at most {MOST_PIXELS:,} pixels can be drawn; shrink it') from error
    except (OSError, ValueError, SyntaxError, cv2.error) as error:  # as Pillow's and OpenCV's readers raise them
        raise UsageError(f'{path} is no image that can be read: {one_line(error)}') from error


def main() -> None:
    parser = Parser(
        'Draw, for each stage of a CrossFormer, which tokens one token attends to at short and long distance, '
        'and the position bias by offset; for each stage of an SMT, the modulation map, and what one token attends to.')
    parser.add_argument('image', type=Path, help='any image')
    parser.add_argument('--config', type=Path, help='config of a trained model (default: the backbone alone)')
    parser.add_argument('--backbone', default='crossformer-small', choices=sorted(BACKBONES), help='without --config')
    parser.add_argument('--checkpoint', help="weights of a training (with --config), or the authors' ones (default: random)")
    add_weights_option(parser)
    parser.add_argument('--point', nargs=2, type=fraction, default=(0.5, 0.5), metavar=('X', 'Y'),
                        help='the token, as fractions of the image (default: the middle)')
    parser.add_argument('--out', type=Path, default=Path('attention.png'), help='the picture (default: %(default)s)')
    args = parser.parse_args()
    check_figure('--out', args.out)
    image = read_image(args.image)
    MMLogger.get_current_instance().setLevel('WARNING')  # without a log line per initialized parameter
    model, normalization = build(args)
    name = args.config.stem if args.config else args.backbone
    weights = Path(args.checkpoint).name if args.checkpoint else 'random weights'
    panels = panels_of(model)
    assert panels is not None
    draw_stages(image, panels(model, normalized(image, **normalization), tuple(args.point)), args.out, f'{name}, {weights}')
    print(f'picture  {args.out}')


if __name__ == '__main__':
    run_tool(main)
