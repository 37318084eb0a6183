"""Workarounds for faults of both lines of mmengine. (The one for mmcv's RoI operators is in ``layers/memory_format.py``.)"""
import gc
import os
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.runner import checkpoint

from mmvisattn.weights.inert import HISTORY_TYPES, NUMPY_TYPES


def read_checkpoints_safely() -> None:
    """Let mmengine load its own training checkpoints, and let no file run code.

    mmengine 0.10.7 cannot read back what it writes since torch.load defaults to ``weights_only=True``
    (https://pytorch.org/docs/stable/notes/serialization.html#weights-only); onedl-mmengine 0.10.12 falls back to
    ``weights_only=False``, which runs any code in a file. The environment variable forbids this fallback, and the list
    names the few types that training checkpoints hold besides tensors.
    """
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    os.environ.pop('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', None)  # a common workaround; torch accepts only one of the two
    if hasattr(checkpoint, 'get_torch_safe_globals'):
        # Its list holds numpy's own constructors, with which a file can build objects over memory that it chooses (see
        # weights/inert.py). Next to our list, it would be chance which of two entries for a name is used.
        checkpoint.get_torch_safe_globals = list
    torch.serialization.add_safe_globals([*NUMPY_TYPES, *HISTORY_TYPES])


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


def leave_processes() -> None:
    """End the process group, which mmengine leaves to the exit of the process.

    At exit, gloo's threads sometimes abort a process that succeeded
    (https://pytorch.org/docs/stable/distributed.html#shutdown). They run as long as anything refers to the group, and
    wrapped models hold it in reference cycles.
    """
    if torch.distributed.is_initialized():
        gc.collect()
        torch.distributed.destroy_process_group()
