#!/usr/bin/env python3
"""Draw the results of a finished training: tools/report.py WORK_DIR"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
from itertools import chain
from pathlib import Path

from mmvisattn.cli.arguments import run_tool
from mmvisattn.cli.seeds import scored_seeds, summary
from mmvisattn.cli.training_report import write_report
from mmvisattn.cli.usage import Parser


def trainings_in(work_dir: Path) -> list[Path]:
    """The work folders of the trainings with several seeds that have a score; without such, the folder itself."""
    scored, others = scored_seeds(work_dir)
    if others:
        print(f'{work_dir}: without a checkpoint or a validation, left out: {", ".join(others)}')
    return scored or [work_dir]


def main() -> None:
    parser = Parser(
        'Draw the predictions of a classifier, segmentor, detector or restorer on some images, and its learning curve.')
    parser.add_argument('work_dir', type=Path,
                        help='the work folder of tools/train.py; of several --seeds the first one is drawn, with the scores '
                        'of all')
    parser.add_argument('--out', type=Path, help='the picture to write (default: report.png in the work folder)')
    parser.add_argument('--data-root', help='where the data is, if it has moved since the training')
    parser.add_argument('--compare', type=Path, nargs='+', default=[], metavar='WORK_DIR',
                        help='work folders of other trainings, with --seeds or without, whose scores and speed to draw in '
                        'the same plots')
    args = parser.parse_args()
    (first, *others), *compared = (trainings_in(folder) for folder in (args.work_dir, *args.compare))
    print(write_report(first, args.out or args.work_dir / 'report.png', args.data_root, [*others, *chain(*compared)]))
    if others:
        print(summary(args.work_dir, [first, *others]))


if __name__ == '__main__':
    run_tool(main)
