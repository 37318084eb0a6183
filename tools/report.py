#!/usr/bin/env python3
"""Draw the results of a finished training: tools/report.py WORK_DIR"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
from pathlib import Path

from mmvisattn.cli.arguments import run_tool
from mmvisattn.cli.seeds import seed_folders, summary
from mmvisattn.cli.training_report import write_report
from mmvisattn.cli.usage import Parser


def main() -> None:
    parser = Parser(
        'Draw the predictions of a classifier, segmentor, detector or restorer on some images, and its learning curve.')
    parser.add_argument('work_dir', type=Path,
                        help='the work folder of tools/train.py; of several --seeds the first one is drawn, with the scores '
                        'of all')
    parser.add_argument('--out', type=Path, help='the picture to write (default: report.png in the work folder)')
    parser.add_argument('--data-root', help='where the data is, if it has moved since the training')
    parser.add_argument('--compare', type=Path, nargs='+', default=[], metavar='WORK_DIR',
                        help='work folders of other trainings whose scores and speed to draw in the same plots')
    args = parser.parse_args()
    folders = seed_folders(args.work_dir)
    finished = [folder for folder in folders if any(folder.glob('*.pth'))]
    if left := [folder.name for folder in folders if folder not in finished]:
        print(f'without checkpoints, left out: {", ".join(left)}')
    first, *others = finished or [args.work_dir]
    print(write_report(first, args.out or args.work_dir / 'report.png', args.data_root, [*others, *args.compare]))
    if others:
        print(summary(args.work_dir, finished))


if __name__ == '__main__':
    run_tool(main)
