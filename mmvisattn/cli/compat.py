"""Workarounds for faults of both lines of mmengine.

Those for its checkpoints are in ``weights/safety.py``, the one for mmcv's RoI operators in ``layers/memory_format.py``.
"""
import gc
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.runner import BaseLoop


def join_processes_on_cpu(cfg: Config) -> None:
    """Start the process group and choose a model wrapper on CPUs, where mmengine assumes CUDA devices.

    mmengine selects a CUDA device for any backend (``mmengine/dist/utils.py``, ``_init_dist_pytorch``) and passes its number
    to the wrapper (``mmengine/runner/runner.py``, ``wrap_model``); both fail on CPUs, in both lines of mmengine.
    """
    if not torch.distributed.is_initialized():
        seconds = (cfg.get('env_cfg') or {}).get('dist_cfg', {}).get('timeout')
        torch.distributed.init_process_group('gloo', timeout=seconds and timedelta(seconds=seconds))
    cfg.setdefault('model_wrapper_cfg', dict(
        type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False)))


def end_workers(*loops: BaseLoop | None) -> None:
    """End the workers of the data loaders of loops that have run.

    Otherwise they go with the reference cycles of the runner. The garbage collector then closes their queues before they
    are told to end, and torch waits five seconds for each of them (``_shutdown_workers`` in torch/utils/data/dataloader.py).
    """
    for loop in loops:
        for name in {'dataloader_iterator', 'dataloader'} & set(vars(loop) if loop else ()):
            setattr(loop, name, None)


def leave_processes() -> None:
    """End the process group, which mmengine leaves to the exit of the process.

    At exit, gloo's threads sometimes abort a process that succeeded
    (https://pytorch.org/docs/stable/distributed.html#shutdown). They run as long as anything refers to the group, and
    wrapped models hold it in reference cycles.
    """
    if torch.distributed.is_initialized():
        gc.collect()
        torch.distributed.destroy_process_group()
