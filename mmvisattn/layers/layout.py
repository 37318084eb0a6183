"""Memory layout."""
from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def fast_layout(x: Tensor) -> Tensor:
    """A map (B, C, H, W) in the layout that its device convolves fast: channels last on a CPU, elsewhere as it is.

    Depthwise and 1 x 1 convolutions take a half to a twentieth of the time there; which layout is fast on a GPU depends on
    the precision, so there it stays the user's choice.
    """
    return x.contiguous(memory_format=torch.channels_last) if x.is_cpu else x


def standard_layout(maps: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Maps (B, C, H, W) as they leave the package: a channel after the other in memory.

    mmcv's RoI operators take a map's memory for that whatever its strides say, and silently pool a mixture of channels and
    pixels from any other (https://github.com/open-mmlab/mmcv/blob/main/mmcv/ops/csrc/pytorch/cpu/roi_align.cpp).
    """
    return tuple(x.contiguous() for x in maps)


def channels_last(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A function of (B, H, W, C), such as a linear layer or a layer norm, of a map (B, C, H, W); free if it lies so."""
    return function(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
