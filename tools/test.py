#!/usr/bin/env python3
"""Evaluate a trained model: tools/test.py CONFIG CHECKPOINT [--show-dir DIR] [--tta]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvisattn.cli.arguments import add_weights_option, argument_parser, checkpoint_path, load_config, load_weights, run_tool
from mmvisattn.cli.checks import check_data, check_keys, check_model, dicts_in
from mmvisattn.cli.compat import end_workers
from mmvisattn.cli.launching import ranks_named
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.test_sets import keep_present_sets, table
from mmvisattn.cli.usage import UsageError, check_folder
from mmvisattn.weights import find_model

# The visualization hook for each type of metric, and what lets it paint.
PAINTERS = dict(
    Accuracy=dict(type='VisualizationHook', enable=True), IoUMetric=dict(type='SegVisualizationHook', draw=True),
    CocoMetric=dict(type='DetVisualizationHook', draw=True))


def paint(cfg: Config, metric: str, folder: Path) -> None:
    """Let the Runner paint truth and prediction of every image."""
    if metric not in PAINTERS:
        raise UsageError(f'--show-dir: no hook paints for {metric}; tools/restore.py writes restored images')
    cfg.default_hooks.visualization = dict(cfg.default_hooks.get('visualization', {}), **PAINTERS[metric], interval=1)
    # mmengine's visualizer appends 'vis_data/vis_image'; the last part of the path is ours.
    cfg.visualizer.save_dir = str(folder)


def write_predictions(cfg: Config, metric: str, folder: Path) -> None:
    """Let the metric also write the predictions."""
    submissions = [part for part in dicts_in(cfg.test_evaluator) if str(part.get('type')).endswith('Submission')]
    if submissions:
        for part in submissions:
            part['out_dir'] = str(folder / part['test_set'])
        return
    if metric == 'IoUMetric':
        cfg.test_evaluator.update(output_dir=str(folder), format_only=False)
    elif metric == 'CocoMetric':
        folder.mkdir(parents=True, exist_ok=True)
        cfg.test_evaluator.update(outfile_prefix=str(folder / 'predictions'))
    else:
        raise UsageError(f'--out: {metric} writes no predictions; tools/restore.py writes restored images, tools/predict.py '
                         '--data the scores of a classifier')


def augment(cfg: Config, name: Path) -> None:
    """Test-time augmentation, as the config defines it."""
    if 'tta_pipeline' not in cfg or 'tta_model' not in cfg:
        raise UsageError(f'--tta: {name} defines no tta_model and tta_pipeline')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)
    for metric in dicts_in(cfg.test_evaluator):
        if 'segm' in (metric.get('metric') or []):  # mmdet merges augmented boxes, but no masks
            metric['metric'] = 'bbox'


def metric_of(cfg: Config) -> str:
    """The type of the metric, without its scope."""
    kind = cfg.test_evaluator.get('type') if isinstance(cfg.test_evaluator, dict) else None  # a list: several metrics
    return kind.split('.')[-1] if isinstance(kind, str) else 'this evaluator'


def main() -> None:
    parser = argument_parser('Evaluate a trained model.')
    parser.add_argument('checkpoint', help="a checkpoint of tools/train.py, or the authors' published one: path or URL")
    add_weights_option(parser)
    parser.add_argument('--show-dir', type=Path, help='folder in which to paint truth and predictions of every image')
    parser.add_argument('--out', type=Path, help='folder for predictions: label images, boxes and masks as COCO results, '
                        "or what the servers of SIDD and DND take")
    parser.add_argument('--classwise', action='store_true', help='report the AP of every class (for detectors; segmentors '
                        'always report every class)')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation, as the config defines it')
    args = parser.parse_args()
    cfg = load_config(args)
    check_keys(cfg, args.config, 'model', 'test_dataloader', 'test_cfg', 'test_evaluator')
    checkpoint = checkpoint_path(args.checkpoint)
    keep_present_sets(cfg)
    check_data(cfg, 'test_dataloader')
    check_model(cfg)
    metric = metric_of(cfg)
    for argument, folder in (('--show-dir', args.show_dir), ('--out', args.out)):
        if folder:
            check_folder(argument, folder)
    if args.show_dir:
        paint(cfg, metric, args.show_dir)
    if args.out:
        write_predictions(cfg, metric, args.out)
    if args.classwise:
        if metric != 'CocoMetric':
            raise UsageError(f'--classwise is for detectors; {args.config} is evaluated by {metric}')
        cfg.test_evaluator.classwise = True
    if args.tta:
        augment(cfg, args.config)
    cfg.load_from = None
    with config_errors(cfg):
        runner = Runner.from_cfg(cfg)
        print_log(f'{checkpoint}: {load_weights(runner.model, checkpoint, args.weights)}', logger='current')
        with ranks_named():
            scores = runner.test()
        end_workers(runner.test_loop)
    if lines := table(scores, find_model(args.config.stem)):
        print_log(f'{args.checkpoint}\n\n{lines}\n', logger='current')


if __name__ == '__main__':
    run_tool(main)
