"""Counting parameters and multiply-adds (MACs)."""
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from .subjects import in_channels, parts_of


def count_calls(function: Callable[[], Any]) -> int:
    """Multiply-adds of all matrix products and convolutions of a call, those of attention included."""
    # The fused kernels of attention are other operators on each device; this backend is made of matrix products. Neither
    # does torch count the fast path of its own layer, which is one operator.
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            function()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    return counter.get_total_flops() // 2


def count_macs(model: nn.Module, part: str, height: int, width: int) -> int:
    """Multiply-adds for one image, in eval mode.

    Counted without computing anything, on torch's meta device; only a model that needs values in between (as the proposals
    of a two-stage detector) is run on the CPU. So the count is that of the model, and the same for every device.

    Args:
        model: on the CPU.
        part: one of those of ``parts_of``. An output is counted as the logits that it is made from.
        height, width: of the image in pixels.
    """
    part = 'logits' if part == 'output' and 'logits' in parts_of(model) else part
    for device in ('meta', 'cpu'):
        copied = deepcopy(model)
        copied.eval()  # which some models return nothing from
        copied.to(device)
        x = torch.zeros(1, in_channels(model), height, width, device=device)
        try:
            return count_calls(partial(parts_of(copied)[part], x))
        except Exception:  # whatever a model raises where it needs values
            if device == 'cpu':
                raise
    raise AssertionError


def count_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
