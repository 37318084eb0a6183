#!/usr/bin/env python3
"""Look at all files of a config's data sets: tools/check_dataset.py CONFIG [--cfg-options data_root=/path …]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
from pathlib import Path

from mmengine.logging import MMLogger

from mmvisattn.cli.arguments import argument_parser, load_config, run_tool
from mmvisattn.cli.checks import LOADERS
from mmvisattn.cli.dataset_check import check_datasets, draw_frequencies, summary, write_json
from mmvisattn.cli.usage import UsageError, check_figure, check_file


def main() -> None:
    parser = argument_parser('Look at all files of the data sets of a config, with all cores; the exit status is 1 if '
                             'something is wrong.')
    parser.add_argument('--loaders', nargs='+', choices=LOADERS, default=LOADERS,
                        help='whose data to look at (default: all)')
    parser.add_argument('--workers', type=int, help='processes (default: one for each core)')
    parser.add_argument('--json', type=Path, metavar='PATH', help='write everything that was found')
    parser.add_argument('--picture', type=Path, metavar='PATH', help='draw how often each class occurs')
    parser.add_argument('--overwrite', action='store_true', help='replace these files if they are there')
    args = parser.parse_args()
    MMLogger.get_current_instance().setLevel('ERROR')
    cfg = load_config(args)
    for option, path, check in (('--json', args.json, check_file), ('--picture', args.picture, check_figure)):
        if path:
            check(option, path)
            if path.exists() and not args.overwrite:
                raise UsageError(f'{option} {path} exists; --overwrite replaces it')
    reports = check_datasets(cfg, args.loaders, args.workers)
    if not reports:
        raise UsageError(f'{args.config} has no data set with a data_root in {", ".join(args.loaders)}')
    if args.json:
        write_json(reports, args.json)
    if args.picture:
        draw_frequencies(reports, args.picture)
    print(summary(reports))
    faults = sum(len(report.faults) for report in reports)
    if faults:
        raise UsageError(f'{faults} faults, see above' + (f' and {args.json}' if args.json else ''))


if __name__ == '__main__':
    run_tool(main)
