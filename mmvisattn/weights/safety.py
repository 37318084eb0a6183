"""Reading checkpoints through mmengine without running code from them."""
import os

import torch
from mmengine.runner import checkpoint

from .inert import HISTORY_TYPES, NUMPY_TYPES


def read_checkpoints_safely() -> None:
    """Let mmengine load its own training checkpoints, and let no file run code.

    mmengine 0.10.7 cannot read back what it writes since torch.load defaults to ``weights_only=True``
    (https://pytorch.org/docs/stable/notes/serialization.html#weights-only); onedl-mmengine 0.10.12 falls back to
    ``weights_only=False``, which runs any code in a file. The environment variable forbids this fallback, and the list
    names the few types that training checkpoints hold besides tensors. It concerns every ``torch.load`` of this process,
    also where that asks for ``weights_only=False``.
    """
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    os.environ.pop('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', None)  # a common workaround; torch accepts only one of the two
    if hasattr(checkpoint, 'get_torch_safe_globals'):
        # Its list holds numpy's own constructors, with which a file can build objects over memory that it chooses (see
        # weights/inert.py). Next to our list, it would be chance which of two entries for a name is used.
        checkpoint.get_torch_safe_globals = list
    torch.serialization.add_safe_globals([*NUMPY_TYPES, *HISTORY_TYPES])
