"""Working through a long tensor in portions."""
from collections.abc import Callable

import torch
from torch import Tensor

PORTION = 2**20


def in_portions(function: Callable[[Tensor], Tensor], x: Tensor, elements: int) -> Tensor:
    """``function(x)`` for a function that treats the entries of dimension 0 independently.

    Inference on a CPU works through portions whose largest intermediate tensor stays in the cache: writing the whole of it
    to fresh memory takes longer than computing it. Everywhere else the function is called once.

    Args:
        function: maps (N, …) to (N, …).
        x: its argument.
        elements: elements of the largest intermediate tensor, an entry.
    """
    if torch.is_grad_enabled() or not x.is_cpu or torch.compiler.is_compiling():
        return function(x)
    portions = x.split(max(1, PORTION // elements))
    return function(x) if len(portions) == 1 else torch.cat([function(portion) for portion in portions])
