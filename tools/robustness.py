#!/usr/bin/env python3
"""Evaluate a model on corrupted images: tools/robustness.py CONFIG CHECKPOINT [--corruptions fog snow] [--out DIR]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import json
from contextlib import redirect_stdout
from pathlib import Path

from mmengine.device import get_device
from mmengine.logging import MMLogger
from tqdm import tqdm

from mmvisattn.analysis.corruptions import CORRUPTIONS, SEVERITIES
from mmvisattn.analysis.robustness import CLEAN, draw_scores, score, summarized
from mmvisattn.benchmark.environment import environment
from mmvisattn.cli.arguments import add_weights_option, argument_parser, load_config, run_tool
from mmvisattn.cli.evaluation import model_and_data, subject_of
from mmvisattn.cli.usage import UsageError, check_folder
from mmvisattn.files import write_whole

FILES = ('robustness.json', 'robustness.png')
# The metric to show, in this order; all are in the file.
SHOWN = ('mIoU', 'coco/segm_mAP', 'coco/bbox_mAP')


def read(path: Path, subject: dict) -> dict:
    """The scores of an earlier call with the same subject, by corruption and severity."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
        earlier, scores = dict(content['subject']), dict(content['scores'])
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f'{path} is damaged, or no file of this tool; --overwrite begins anew') from error
    if earlier != subject:
        changed = ', '.join(key for key in subject if earlier.get(key) != subject[key])
        raise UsageError(f'{path} is of another subject ({changed}); --overwrite begins anew')
    return scores


def main() -> None:
    parser = argument_parser('Evaluate a segmentor or detector on images with the usual 15 corruptions in 5 severities.')
    parser.add_argument('checkpoint', help="a checkpoint of tools/train.py, or the authors' published one: path or URL")
    add_weights_option(parser)
    parser.add_argument('--corruptions', nargs='+', choices=CORRUPTIONS, default=list(CORRUPTIONS), metavar='NAME',
                        help=f'{", ".join(CORRUPTIONS)} (default: all)')
    parser.add_argument('--severities', type=int, nargs='+', choices=SEVERITIES, default=SEVERITIES, metavar='1..5',
                        help='default: all')
    parser.add_argument('--seed', type=int, default=0, help='of the noise (default: %(default)s)')
    parser.add_argument('--out', type=Path, help='folder of the results (default: robustness in the work folder)')
    parser.add_argument('--overwrite', action='store_true', help='begin anew; without it, scores that exist are kept')
    args = parser.parse_args()
    cfg = load_config(args)
    out = args.out or Path(cfg.work_dir) / 'robustness'
    check_folder('--out', out)
    MMLogger.get_current_instance().setLevel('ERROR')
    model, dataset = model_and_data(args, cfg, 'test_evaluator')
    subject = subject_of(args, cfg, dataset, seed=args.seed)
    scores = {} if args.overwrite else read(out / FILES[0], subject)
    wanted = [(CLEAN, 0), *((name, severity) for name in args.corruptions for severity in args.severities)]
    left = [(name, severity) for name, severity in wanted if str(severity) not in scores.get(name, {})]
    with tqdm(total=len(left) * len(dataset), unit='image') as bar:
        for name, severity in left:
            bar.set_description(f'{name} {severity}')
            try:
                with redirect_stdout(None):  # metrics print tables
                    metrics = score(cfg, model, None if name == CLEAN else name, severity, args.seed, bar.update)
            except ValueError as error:
                raise UsageError(str(error)) from error
            scores.setdefault(name, {})[str(severity)] = metrics
            write_whole(out / FILES[0], json.dumps(dict(subject=subject, scores=scores), indent=1).encode())
    metric = next((name for name in SHOWN if name in scores[CLEAN]['0']), next(iter(scores[CLEAN]['0'])))
    cells: dict[str, dict[str, float]] = {}
    for name, severity in wanted:  # an earlier call may have scored more
        cells.setdefault(name, {})[str(severity)] = scores[name][str(severity)][metric]
    figures = summarized(cells)
    content = dict(subject=subject, environment=environment(get_device()), metric=metric, summary=figures, scores=scores)
    write_whole(out / FILES[0], json.dumps(content, indent=1).encode())
    draw_scores(cells, metric, f'{args.config.stem}', out / FILES[1])
    ratio = '' if figures['rPC'] is None else f' ({figures["rPC"]:.1%} of it)'
    print(f'{metric}: clean {figures["clean"]:.4g}, mean under corruption {figures["mPC"]:.4g}{ratio}\n'
          f'wrote {", ".join(FILES)} to {out}')


if __name__ == '__main__':
    run_tool(main)
