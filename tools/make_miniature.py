#!/usr/bin/env python3
"""Write a generated miniature data set in the layout of a real one: tools/make_miniature.py data/miniature"""
from pathlib import Path

from mmvisattn.cli.usage import Parser, UsageError, check_folder, end_clearly
from mmvisattn.datasets.miniature import LAYOUTS, write_miniature


def main() -> None:
    parser = Parser('Write a generated miniature data set in the layout of a real one.')
    parser.add_argument('root', type=Path, help='the folder to create')
    parser.add_argument('--layout', choices=sorted(LAYOUTS), default='ade20k',
                        help='ade20k: label images; coco: boxes and masks; imagenet: one shape per image, in the folder '
                        'of its class (default: %(default)s)')
    parser.add_argument('--num-training', type=int, default=320, help='training images (default: %(default)s)')
    parser.add_argument('--num-validation', type=int, default=60, help='validation images (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='the same seed gives the same images (default: %(default)s)')
    args = parser.parse_args()
    check_folder('ROOT', args.root.parent)
    try:
        root = write_miniature(args.root, args.layout, args.num_training, args.num_validation, args.seed)
    except (FileExistsError, ValueError) as error:
        raise UsageError(str(error)) from error
    print(f'wrote {args.num_training} training and {args.num_validation} validation images to {root}')


if __name__ == '__main__':
    end_clearly(main)
