"""Models whose weights are loaded, or never used, need no random ones first, which take seconds for large models."""
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# Called directly and through torch.nn.init's functions.
RANDOM = {torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_, nn.init.normal_, nn.init.uniform_,
          nn.init.kaiming_normal_, nn.init.kaiming_uniform_}


class Uninitialized(TorchFunctionMode):
    """What is built within has zeros for random weights; constants and buffers are as ever.

    The memory's content would do for weights that are loaded, but processors are slow with numbers below the normal ones.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in RANDOM:
            return (args[0] if args else kwargs['tensor']).data.zero_()
        return func(*args, **(kwargs or {}))
