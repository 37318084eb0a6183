"""Models whose weights are loaded, or never used, need no random ones first, which take seconds for large models."""
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# Called directly and through torch.nn.init's functions.
RANDOM = {torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_, nn.init.normal_, nn.init.uniform_,
          nn.init.kaiming_normal_, nn.init.kaiming_uniform_}


class Uninitialized(TorchFunctionMode):
    """What is built within has the memory's content for random weights; constants and buffers are as ever."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in RANDOM:
            return args[0] if args else kwargs['tensor']
        return func(*args, **(kwargs or {}))
