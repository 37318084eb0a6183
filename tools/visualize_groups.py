#!/usr/bin/env python3
"""Draw what one token of a CrossFormer attends to: tools/visualize_groups.py IMAGE [--config C --checkpoint P]"""
import argparse
from pathlib import Path

import cv2
from mmengine.registry import MODELS, init_default_scope

from mmvisattn.engine.setup import UsageError, checkpoint_path, load_weights, read_config, run_tool
from mmvisattn.models.backbones import CrossFormer
from mmvisattn.visualization.attention_groups import draw
from mmvisattn.weights import load_official

IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'{value} is not a fraction from 0 to 1')
    return value


def build(args: argparse.Namespace) -> tuple[CrossFormer, dict]:
    """The backbone with its weights, and the mean and deviation of its input."""
    checkpoint = checkpoint_path(args.checkpoint) if args.checkpoint else None
    if args.config is None:
        model = CrossFormer(args.arch)
        model.init_weights()
        if checkpoint:
            try:
                load_official(model, checkpoint)
            except ValueError as error:
                raise UsageError(f'{error} (a checkpoint trained here also needs its --config)') from error
        return model.eval(), IMAGENET
    cfg = read_config(args.config)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    model = MODELS.build(cfg.model)
    model.init_weights()
    if checkpoint:
        load_weights(model, checkpoint)
    if not isinstance(model.backbone, CrossFormer):
        raise UsageError(f'--config {args.config} has a {type(model.backbone).__name__}, not a CrossFormer')
    preprocessor = cfg.model.data_preprocessor
    return model.backbone.eval(), dict(mean=list(preprocessor.mean), std=list(preprocessor.std))


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Draw, for each stage, which tokens one token attends to at short and long distance, and the position '
        'bias by offset.')
    parser.add_argument('image', type=Path, help='any image')
    parser.add_argument('--config', type=Path, help='config of a trained model (default: the backbone alone)')
    parser.add_argument('--arch', default='small', choices=sorted(CrossFormer.archs), help='without --config')
    parser.add_argument('--checkpoint', help="weights: of a training with --config, or the authors' (default: random)")
    parser.add_argument('--point', nargs=2, type=fraction, default=(0.5, 0.5), metavar=('X', 'Y'),
                        help='the token, as fractions of the image (default: the middle)')
    parser.add_argument('--out', type=Path, default=Path('groups.png'), help='the picture (default: %(default)s)')
    args = parser.parse_args()
    if not args.image.is_file() or not cv2.haveImageReader(str(args.image)):
        raise UsageError(f'there is no image {args.image}')
    model, normalisation = build(args)
    name = args.config.stem if args.config else f'CrossFormer {args.arch}'
    weights = Path(args.checkpoint).name if args.checkpoint else 'random weights'
    draw(model, args.image, args.out, tuple(args.point), **normalisation, title=f'{name}, {weights}')
    print(f'picture  {args.out}')


if __name__ == '__main__':
    run_tool(main)
