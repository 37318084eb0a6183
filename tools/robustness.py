#!/usr/bin/env python3
"""Evaluate a model on corrupted images: tools/robustness.py CONFIG CHECKPOINT [--corruptions fog snow] [--out DIR]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import json
from contextlib import redirect_stdout
from pathlib import Path

from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, MODELS, init_default_scope
from tqdm import tqdm

from mmvisattn.analysis.corruptions import CORRUPTIONS, SEVERITIES
from mmvisattn.analysis.robustness import CLEAN, draw_scores, score, summarized
from mmvisattn.cli.arguments import (
    add_weights_option,
    argument_parser,
    checkpoint_path,
    load_config,
    load_weights,
    run_tool,
    subject_of,
)
from mmvisattn.cli.checks import check_data, check_keys, check_model
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.usage import UsageError, check_folder
from mmvisattn.files import write_whole

FILES = ('robustness.json', 'robustness.png')
# The metric to show, in this order; all are in the file.
SHOWN = ('mIoU', 'coco/segm_mAP', 'coco/bbox_mAP')


def read(path: Path, subject: dict) -> dict:
    """The scores of an earlier call with the same subject, by corruption and severity."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text())
    if content['subject'] != subject:
        raise UsageError(f'{path} is of another model, other data or another seed; --overwrite begins anew')
    return content['scores']


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
    check_keys(cfg, args.config, 'model', 'test_dataloader', 'test_evaluator')
    checkpoint = checkpoint_path(args.checkpoint)
    check_data(cfg, 'test_dataloader')
    check_model(cfg)
    out = args.out or Path(cfg.work_dir) / 'robustness'
    check_folder('--out', out)
    subject = subject_of(args, cfg, checkpoint, seed=args.seed)
    scores = {} if args.overwrite else read(out / FILES[0], subject)
    MMLogger.get_current_instance().setLevel('ERROR')
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    with config_errors(cfg):
        model = MODELS.build(cfg.model)
        images = len(DATASETS.build(cfg.test_dataloader.dataset))
    load_weights(model, checkpoint, args.weights)
    model.to(get_device()).eval()
    wanted = [(CLEAN, 0), *((name, severity) for name in args.corruptions for severity in args.severities)]
    left = [(name, severity) for name, severity in wanted if str(severity) not in scores.get(name, {})]
    with tqdm(total=len(left) * images, unit='image') as bar:
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
    write_whole(out / FILES[0],
                json.dumps(dict(subject=subject, metric=metric, summary=figures, scores=scores), indent=1).encode())
    draw_scores(cells, metric, f'{args.config.stem}', out / FILES[1])
    ratio = '' if figures['rPC'] is None else f' ({figures["rPC"]:.1%} of it)'
    print(f'{metric}: clean {figures["clean"]:.4g}, mean under corruption {figures["mPC"]:.4g}{ratio}\n'
          f'wrote {", ".join(FILES)} to {out}')


if __name__ == '__main__':
    run_tool(main)
