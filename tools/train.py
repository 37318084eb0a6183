#!/usr/bin/env python3
"""Train a model: tools/train.py CONFIG [--work-dir DIR] [--cfg-options data_root=/path …]"""
from mmengine.device import get_device
from mmengine.runner import Runner

from mmvisattn.cli.arguments import argument_parser, load_config, run_tool, training_checkpoint
from mmvisattn.cli.checks import check_data, check_keys, check_model
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.usage import UsageError


def main() -> None:
    parser = argument_parser('Train a model.')
    parser.add_argument('--resume', nargs='?', const='latest', metavar='CHECKPOINT',
                        help='continue from the latest checkpoint of the work folder, or from the given one')
    parser.add_argument('--amp', nargs='?', const='float16', choices=['float16', 'bfloat16'],
                        help='train in mixed precision (float16 if no type is given)')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate to the number of processes times the batch size')
    args = parser.parse_args()
    cfg = load_config(args)
    check_keys(cfg, args.config, 'model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
    check_data(cfg, 'train_dataloader', 'val_dataloader')
    check_model(cfg)
    if args.amp:
        if get_device() == 'cpu':
            raise UsageError('--amp: mixed precision training needs a GPU, and PyTorch finds none')
        cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype=args.amp)
        if args.amp == 'float16':
            cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise UsageError(f'--auto-scale-lr: {args.config} sets no auto_scale_lr.base_batch_size, '
                             'the batch size that its learning rate is for')
        cfg.auto_scale_lr.enable = True
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'latest' else training_checkpoint(args.resume)
    with config_errors(cfg):
        Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    run_tool(main)
