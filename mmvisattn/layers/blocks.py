"""Sequences of blocks: activation checkpointing and stochastic depth."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import accumulate

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import ModuleList
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def _tracking_norms(module: nn.Module) -> list[_BatchNorm]:
    """The batch norms that update running statistics in the forward pass."""
    return [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]


@contextmanager
def _statistics_kept(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """While active, batch norms do not update their running statistics, so that recomputing does not count a batch twice."""
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, num_batches_tracked) in zip(norms, kept):
            norm.momentum, norm.num_batches_tracked = momentum, num_batches_tracked


def checkpointed(module: nn.Module, x: Tensor, *args, enabled: bool) -> Tensor:
    """``module(x, *args)``; if enabled and training, its activations are recomputed in the backward pass."""
    if not (enabled and module.training and x.requires_grad):
        return module(x, *args)
    norms = _tracking_norms(module)
    if torch.compiler.is_compiling() or not norms:
        # A compiled backward pass recomputes values, but does not update statistics again.
        return checkpoint(module, x, *args, use_reentrant=False)
    return checkpoint(
        module, x, *args, use_reentrant=False, context_fn=lambda: (nullcontext(), _statistics_kept(norms)))


class BlockSequence(ModuleList):
    """Blocks that are applied one after the other, with activation checkpointing per block.

    Args:
        blocks: each takes the output of the block before it.
        with_cp: recompute each block's activations in the backward pass, to save memory.
    """

    def __init__(self, blocks: Sequence[nn.Module], with_cp: bool = False):
        super().__init__(blocks)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        for block in self:
            x = checkpointed(block, x, enabled=self.with_cp)
        return x


def drop_path_rates(rate: float, depths: Sequence[int]) -> list[list[float]]:
    """Stochastic depth of each block, one list per stage: linear from 0 in the first block to ``rate`` in the last one."""
    last = max(sum(depths) - 1, 1)
    starts = accumulate(depths, initial=0)
    return [[rate * block / last for block in range(start, start + depth)] for start, depth in zip(starts, depths)]


def stochastic_depth(rate: float) -> nn.Module:
    """Stochastic depth of a residual branch, in training; the identity for a rate of 0."""
    return DropPath(rate) if rate > 0 else nn.Identity()
