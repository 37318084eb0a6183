#!/usr/bin/env python3
"""Draw what a CrossFormer or SMT attends to: tools/visualize_attention.py IMAGE [--config C --checkpoint P]"""
import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import mmcv
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from mmvisattn.cli.arguments import add_weights_option, checkpoint_path, load_weights, read_config, run_tool
from mmvisattn.cli.checks import UsageError
from mmvisattn.models import SMT, CrossFormer
from mmvisattn.visualization.attention_picture import draw_stages, normalized
from mmvisattn.visualization.crossformer import attended_in_stages
from mmvisattn.visualization.smt import modulation_in_stages
from mmvisattn.weights import load_official

IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
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
    model = MODELS.build(cfg.model)
    model.init_weights()
    if checkpoint:
        load_weights(model, checkpoint, args.weights)
    if panels_of(model.backbone) is None:
        raise UsageError(f'--config {args.config} has a {type(model.backbone).__name__}; only '
                         f'{" and ".join(family.__name__ for family in PANELS)} can be drawn')
    preprocessor = cfg.model.data_preprocessor
    return model.backbone.eval(), dict(mean=list(preprocessor.mean), std=list(preprocessor.std))


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Draw, for each stage of a CrossFormer, which tokens one token attends to at short and long distance, '
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
    if not args.image.is_file() or not cv2.haveImageReader(str(args.image)):
        raise UsageError(f'there is no image {args.image}')
    MMLogger.get_current_instance().setLevel('WARNING')  # without a log line per initialised parameter
    model, normalization = build(args)
    name = args.config.stem if args.config else args.backbone
    weights = Path(args.checkpoint).name if args.checkpoint else 'random weights'
    image = mmcv.imread(args.image, channel_order='rgb')
    panels = panels_of(model)
    assert panels is not None
    draw_stages(image, panels(model, normalized(image, **normalization), tuple(args.point)), args.out, f'{name}, {weights}')
    print(f'picture  {args.out}')


if __name__ == '__main__':
    run_tool(main)
