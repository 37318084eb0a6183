#!/usr/bin/env python3
"""Train a model: tools/train.py CONFIG [--work-dir DIR] [--cfg-options data_root=/path …]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import sys
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import Runner

from mmvisattn.cli.arguments import argument_parser, load_config, run_tool
from mmvisattn.cli.broken_data import broken_data_named, count
from mmvisattn.cli.checks import check_annotations, check_data, check_keys, check_model
from mmvisattn.cli.compat import end_workers
from mmvisattn.cli.launching import accumulate_batches, alone_in, batches, check_restarts, is_first_process, ranks_named
from mmvisattn.cli.memory import keep_freed_memory
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.resume import duration, go_on, minutes, number_of_seeds, save_by_time, seed, set_randomness
from mmvisattn.cli.seeds import train_seeds
from mmvisattn.cli.usage import UsageError
from mmvisattn.cli.watching import BACKENDS, ends_named, show_in
from mmvisattn.training.config import replaced, surviving
from mmvisattn.training.preemption import end_at_signals


def parse_args() -> Namespace:
    parser = argument_parser('Train a model.')
    parser.add_argument('--resume', nargs='?', const='latest', metavar='CHECKPOINT',
                        help='continue from the newest checkpoint of the work folder that loads, or from the given one')
    parser.add_argument('--seed', type=seed, help="seed of all random numbers (default: the config's)")
    parser.add_argument('--seeds', type=number_of_seeds, default=0, metavar='N',
                        help='train with N seeds, --seed and those that follow it, one after the other')
    parser.add_argument('--deterministic', action='store_true',
                        help='the same weights from run to run on a GPU, too: slower, and an error where torch cannot')
    parser.add_argument('--max-time', type=duration, metavar='HH:MM:SS',
                        help='after this time save, and end with status 75')
    parser.add_argument('--checkpoint-minutes', type=minutes, metavar='MINUTES',
                        help='also save when this time has passed since the last checkpoint')
    parser.add_argument('--skip-bad', type=count, default=0, metavar='N',
                        help='replace up to N broken samples by others, in each process, and list them (default: stop at '
                        'the first)')
    parser.add_argument('--vis', nargs='+', choices=list(BACKENDS), default=[],
                        help='also show the numbers of the log in TensorBoard or Weights & Biases')
    parser.add_argument('--amp', nargs='?', const='float16', choices=['float16', 'bfloat16'],
                        help='train in mixed precision (float16 if no type is given)')
    parser.add_argument('--ema', nargs='?', const=0.001, type=float, metavar='MOMENTUM',
                        help='validate and keep averaged weights: each iteration counts MOMENTUM (0.001 if none is given), '
                        'whatever the config says')
    parser.add_argument('--accumulate', type=batches, default=1, metavar='N',
                        help='update the weights after every N batches, as often as the config says: all numbers of '
                        'iterations are multiplied by N')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate to the number of processes times the batch size')
    args = parser.parse_args()
    check_restarts(args.resume, args.max_time)
    return args


def apply_options(cfg: Config, args: Namespace) -> None:
    """Put into the config what the options change in a training."""
    if args.amp:
        if get_device() == 'cpu':
            raise UsageError('--amp: mixed precision training needs a GPU, and PyTorch finds none')
        cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype=args.amp)
        if args.amp == 'float16':
            cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.ema is not None:
        if not 0 < args.ema < 1:
            raise UsageError(f'--ema {args.ema} must be above 0 and below 1')
        # Two of these hooks would swap the weights of the training for those of the other one.
        others = [hook for hook in cfg.get('custom_hooks') or [] if hook.get('type') != 'EMAHook']
        cfg.custom_hooks = [*others, dict(type='EMAHook', momentum=args.ema)]
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise UsageError(f'--auto-scale-lr: {args.config} sets no auto_scale_lr.base_batch_size, '
                             'the batch size that its learning rate is for')
        cfg.auto_scale_lr.enable = True
    show_in(cfg, args.vis)
    if args.accumulate > 1:
        accumulate_batches(cfg, args.accumulate)
    set_randomness(cfg, args.seed, args.deterministic)
    save_by_time(cfg, args.checkpoint_minutes, args.max_time)


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    check_keys(cfg, args.config, 'model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
    check_data(cfg, 'train_dataloader', 'val_dataloader')
    check_model(cfg)
    apply_options(cfg, args)
    if args.seeds:
        if args.launcher != 'none':
            raise UsageError(f'--seeds {args.seeds} starts processes of its own: leave out --launcher, or start each --seed')
        first = args.seed if args.seed is not None else (cfg.get('randomness') or {}).get('seed') or 0
        print(train_seeds(sys.argv[1:], Path(cfg.work_dir), first, args.seeds))
        return
    end_at_signals()
    if get_device() == 'cpu':
        keep_freed_memory()
    notes = check_annotations(cfg, 'train_dataloader', 'val_dataloader') if is_first_process() else []
    if choice := args.resume or (cfg.get('resume') and (cfg.get('load_from') or 'latest')):
        notes += go_on(cfg, choice, args.seed)
    cfg = replaced(cfg)
    alone = alone_in(Path(cfg.work_dir)) if is_first_process() else nullcontext()
    with alone, config_errors(cfg), broken_data_named(), ends_named():
        runner = Runner.from_cfg(surviving(cfg, args.max_time, args.skip_bad))
        for note in notes:
            runner.logger.warning(note)
        with ranks_named():
            runner.train()
        end_workers(runner.train_loop, runner.val_loop)


if __name__ == '__main__':
    run_tool(main)
