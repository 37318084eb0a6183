"""Memory formats of maps.

On a CPU, maps are channels last inside the package, and contiguous when they leave it.
"""
from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def to_fast_format(x: Tensor) -> Tensor:
    """Convert a map (B, C, H, W) to the memory format that convolves fast: channels last on a CPU, unchanged elsewhere.

    On a CPU, channels last makes depthwise and 1 x 1 convolutions 2 to 20 times as fast. On a GPU the best format depends on
    the precision, so the map is not changed.
    """
    return x.contiguous(memory_format=torch.channels_last) if x.is_cpu else x


def to_contiguous(maps: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Make maps (B, C, H, W) contiguous before they leave the package.

    mmcv's RoI operators ignore strides: given a channels-last map, they silently pool wrong values
    (https://github.com/open-mmlab/mmcv/blob/main/mmcv/ops/csrc/pytorch/cpu/roi_align.cpp).
    """
    return tuple(x.contiguous() for x in maps)


def apply_channels_last(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function of (B, H, W, C), such as a linear layer or a layer norm, to a map (B, C, H, W).

    Costs no copy if the map is channels last in memory.
    """
    return function(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
