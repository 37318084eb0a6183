"""From the command line to a checked config: what ``tools/train.py`` and ``tools/test.py`` share."""
import argparse
import os
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.utils import import_modules_from_strings
from torch import nn

from mmvisattn.config import dicts_in, without_sync_bn
from mmvisattn.weights import WEIGHTS, LoadReport, find_model, load_whole, similar_models
from mmvisattn.weights.catalog import project_folder
from mmvisattn.weights.download import is_url
from mmvisattn.weights.safety import read_checkpoints_safely

from .checks import check_keys, check_packages, check_path, check_settings, datasets_in
from .compat import join_processes_on_cpu, leave_processes
from .misuse import check_open_arguments
from .options import ConfigOptions, merge_options
from .usage import Parser, UsageError, check_folder, end_clearly, one_line


def run_tool(main: Callable[[], None]) -> None:
    """Run a tool; a ``UsageError`` is printed alone, without a traceback, and makes the exit status 1."""
    read_checkpoints_safely()
    try:
        end_clearly(main)
    except SystemExit as end:
        if end.code == os.EX_TEMPFAIL:  # a training that was told to stop, see training/preemption.py
            leave_processes()
        raise
    leave_processes()


def argument_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the arguments that every Runner tool has."""
    parser = Parser(description)
    parser.add_argument('config', type=Path, help='config file')
    parser.add_argument('--work-dir', type=Path, help='where logs and checkpoints go (default: work_dirs/<config name>)')
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions, default={}, metavar='KEY=VALUE',
                        help='settings of the config to override; data_root=… reaches every data set')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'],
                        default='pytorch' if torch.distributed.is_torchelastic_launched() else 'none',
                        help='how several processes were started (default: pytorch under torchrun, otherwise none)')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')
    return parser


def load_config(args: argparse.Namespace) -> Config:
    """The config with the options of the command line, adapted to CPUs if there is no GPU.

    Raises:
        UsageError: if the config does not exist, cannot be read or needs what is missing, an option fits none of it, or the
            launcher needs GPUs.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    old_root = cfg.get('data_root')
    merge_options(cfg, args.cfg_options)
    check_settings(cfg)
    check_packages(cfg)
    check_open_arguments(cfg)
    if 'data_root' in args.cfg_options:
        check_path('--cfg-options data_root', args.cfg_options['data_root'])
        _move_data(cfg, old_root, args.cfg_options['data_root'])
    cfg.launcher = args.launcher
    cfg.work_dir = str(args.work_dir or cfg.get('work_dir') or Path('work_dirs') / args.config.stem)
    check_folder('--work-dir', Path(cfg.work_dir))
    if get_device() == 'cpu':
        _fit_to_cpu(cfg)
    return cfg


def _move_data(cfg: Config, old_root: str, new_root: str) -> None:
    """Replace the root of every data set, and of the metrics' annotation files.

    Raises:
        UsageError: if the data sets have several roots, none of which is the config's.
    """
    roots = sorted({str(dataset['data_root']) for _, dataset in datasets_in(cfg) if dataset['data_root']} - {new_root})
    if roots and old_root not in roots:
        if len(roots) > 1:
            raise UsageError(f'--cfg-options data_root={new_root}: the data sets have the roots {", ".join(roots)}; set '
                             'each one, such as train_dataloader.dataset.data_root')
        old_root = roots[0]
    for _, dataset in datasets_in(cfg):
        if dataset.get('data_root') == old_root:
            dataset['data_root'] = new_root
    for name in ('val_evaluator', 'test_evaluator'):
        for metric in dicts_in(cfg.get(name) or {}):
            if str(metric.get('ann_file', '')).startswith(f'{old_root}/'):
                metric['ann_file'] = str(Path(new_root) / Path(metric['ann_file']).relative_to(old_root))


def _found(path: Path) -> Path:
    """The file of a config that is given by its path, or by its name if it comes with the package."""
    named = [] if path.is_file() else list(project_folder().glob(f'configs/*/{path.name.removesuffix(".py")}.py'))
    return named[0] if named and path.parent == Path() else path


def read_config(path: Path) -> Config:
    """Read a config file.

    Args:
        path: of the file, or the name of a config that comes with the package.

    Raises:
        UsageError: if it does not exist, cannot be read, has no model, or needs packages that are missing.
    """
    path = _found(path)
    if not path.is_file():
        similar = get_close_matches(path.name, [p.name for p in path.parent.glob('*.py')], n=3)
        hint = f'; did you mean {" or ".join(similar)}?' if similar else ''
        raise UsageError(f'there is no config {path}{hint}')
    try:
        cfg = Config.fromfile(path, import_custom_modules=False)  # they may need what is missing
        check_packages(cfg)
        import_modules_from_strings(**cfg.get('custom_imports') or dict(imports=[]))
    except UsageError:
        raise
    except Exception as error:  # a config is code: it can raise anything
        raise UsageError(f'the config {path} cannot be read: {one_line(error)}') from error
    check_keys(cfg, path, 'model')
    return cfg


def _fit_to_cpu(cfg: Config) -> None:
    """Replace SyncBN and nccl, which need GPUs. (Without a process group, mmengine itself turns SyncBN into BN.)"""
    without_sync_bn(cfg.model)
    if cfg.launcher == 'pytorch':
        join_processes_on_cpu(cfg)
    elif cfg.launcher != 'none':
        raise UsageError(f'--launcher {cfg.launcher} needs GPUs, and PyTorch finds none: on CPUs use --launcher pytorch')


def checkpoint_path(path: str | Path) -> str:
    """The path of a checkpoint that exists; URLs and names of models pass.

    Raises:
        UsageError: if there is no such file.
    """
    if not is_url(str(path)) and not Path(path).is_file() and find_model(str(path)) is None:
        raise UsageError(f'there is no checkpoint {path}; {similar_models(str(path))}')
    return str(path)


def add_weights_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--weights', choices=WEIGHTS, default='ema',
                        help='which weights to load if an official checkpoint also has averaged ones (default: %(default)s)')


def load_weights(model: nn.Module, path: str | Path, weights: str = 'ema') -> LoadReport:
    """Fill a whole model strictly, see ``mmvisattn.weights.load_whole``.

    Raises:
        UsageError: if the file cannot be read or does not fit.
    """
    try:
        return load_whole(model, path, weights)
    except (ValueError, FileNotFoundError) as error:
        raise UsageError(str(error)) from error
