#!/usr/bin/env python3
"""Evaluate a trained model: tools/test.py CONFIG CHECKPOINT [--show-dir DIR] [--tta]"""
from pathlib import Path

from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvisattn.engine.setup import (
    UsageError,
    argument_parser,
    check_data,
    checkpoint_path,
    load_config,
    load_weights,
    run_tool,
)


def main() -> None:
    parser = argument_parser('Evaluate a trained model.')
    parser.add_argument('checkpoint', help="a checkpoint of tools/train.py, or the authors' published one: path or URL")
    parser.add_argument('--show-dir', type=Path, help='paint truth and predictions of every image there')
    parser.add_argument('--out', type=Path, help='write predicted label images there')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation, as the config defines it')
    args = parser.parse_args()
    cfg = load_config(args)
    checkpoint = checkpoint_path(args.checkpoint)
    check_data(cfg, 'test_dataloader')
    if args.show_dir:
        cfg.default_hooks.setdefault('visualization', dict(type='SegVisualizationHook'))
        cfg.default_hooks.visualization.update(draw=True, interval=1)
        # mmengine's visualizer appends 'vis_data/vis_image'; the last part of the path is ours.
        cfg.visualizer.save_dir = str(args.show_dir)
    if args.out:
        cfg.test_evaluator.update(output_dir=str(args.out), format_only=False)
    if args.tta:
        if 'tta_pipeline' not in cfg or 'tta_model' not in cfg:
            raise UsageError(f'--tta: {args.config} defines no tta_model and tta_pipeline')
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
        cfg.model = dict(cfg.tta_model, module=cfg.model)
    cfg.load_from = None
    runner = Runner.from_cfg(cfg)
    print_log(f'{checkpoint}: {load_weights(runner.model, checkpoint)}', logger='current')
    runner.test()


if __name__ == '__main__':
    run_tool(main)
