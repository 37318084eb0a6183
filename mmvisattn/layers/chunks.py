"""Working through large tensors in chunks.

Inference on a CPU is done in chunks whose intermediate tensors stay in the cache; writing them to memory would take longer
than computing them. In training, on a GPU, under ``torch.compile`` and where hooks watch there is a single chunk.
"""
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .conv_norm_act import has_hooks

CHUNK_ELEMENTS = 2**20  # 4 MiB of float32


@dataclass(frozen=True)
class Chunk:
    """Consecutive entries of a dimension, with a halo: the entries around them that their computation reads.

    Attributes:
        dim: the dimension.
        start, stop: the chunk's own entries; ``stop`` is None if it holds the whole dimension.
        halo: number of entries that are read before and after the chunk (fewer at the ends of the dimension).
    """
    dim: int
    start: int
    stop: int | None
    halo: int

    def take(self, x: Tensor) -> Tensor:
        """The chunk with its halo."""
        if self.stop is None:
            return x
        first, last = max(0, self.start - self.halo), min(x.shape[self.dim], self.stop + self.halo)
        return x.narrow(self.dim, first, last - first)

    def crop(self, y: Tensor) -> Tensor:
        """Cut the halo off a result that has as many entries as ``take`` returned."""
        if self.stop is None:
            return y
        return y.narrow(self.dim, min(self.start, self.halo), self.stop - self.start)


def chunks_of(x: Tensor, within: Sequence[nn.Module], dim: int, elements_each: int, halo: int = 0) -> list[Chunk]:
    """The chunks of a dimension of ``x``.

    Args:
        x: any input of the computation; only its device and its size along ``dim`` are used.
        within: the modules that compute; hooks on them or on a part of them must see whole maps.
        dim: the dimension to cut.
        elements_each: number of intermediate elements per entry.
        halo: number of entries before and after an entry that its result depends on.
    """
    size = x.shape[dim]
    is_whole = torch.is_grad_enabled() or not x.is_cpu or torch.compiler.is_compiling() or any(
        has_hooks(*module.modules()) for module in within)
    if is_whole:  # without a look at the size, which may be symbolic
        return [Chunk(dim, 0, None, halo)]
    # An empty batch has no elements.
    step = max(1, CHUNK_ELEMENTS // max(1, elements_each))
    return [Chunk(dim, start, min(start + step, size), halo) for start in range(0, size, step)]


def in_chunks(function: Callable[..., Tensor], *tensors: Tensor, within: nn.Module, dim: int, elements_each: int,
              halo: int = 0) -> Tensor:
    """``function(*tensors)``, computed in chunks of a dimension.

    Args:
        function: takes tensors of equal size along ``dim`` and returns one of the same size along ``dim``. Each entry of
            its result may depend on ``halo`` entries before and after it (a 3 x 3 convolution: 1).
        tensors: the function's arguments.
        within: the module that computes.
        dim, elements_each, halo: see ``chunks_of``.
    """
    parts = chunks_of(tensors[0], [within], dim, elements_each, halo)
    if len(parts) <= 1:
        return function(*tensors)
    return torch.cat([part.crop(function(*(part.take(x) for x in tensors))) for part in parts], dim=dim)
