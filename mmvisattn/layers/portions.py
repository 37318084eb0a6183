"""Working through long tensors in portions.

Inference on a CPU works through portions whose intermediate tensors stay in the cache: writing the whole of it to
fresh memory takes longer than computing it. Everywhere else there is one portion.
"""
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

PORTION = 2**20


def portion_slices(size: int, elements: int, x: Tensor) -> list[slice]:
    """Consecutive slices that cover ``size`` entries.

    Args:
        size: how many entries there are.
        elements: elements of the large intermediate tensors, an entry.
        x: a tensor of the computation, which tells where it runs.
    """
    whole = torch.is_grad_enabled() or not x.is_cpu or torch.compiler.is_compiling()
    step = size if whole else max(1, PORTION // elements)
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def in_portions(function: Callable[..., Tensor], *tensors: Tensor, elements: int) -> Tensor:
    """``function(*tensors)`` for a function that treats the entries of dimension 0 independently.

    Args:
        function: maps tensors (N, …) to (N, …).
        tensors: its arguments.
        elements: elements of the large intermediate tensors, an entry.
    """
    parts = portion_slices(len(tensors[0]), elements, tensors[0])
    if len(parts) <= 1:
        return function(*tensors)
    return torch.cat([function(*(x[part] for x in tensors)) for part in parts])


@dataclass(frozen=True)
class Band:
    """Rows of a map, and the rows around them that their computation reads.

    Attributes:
        start, stop: the band's own rows.
        halo: rows read above and below, as far as the map reaches.
        height: rows of the map.
    """
    start: int
    stop: int
    halo: int
    height: int

    def take(self, x: Tensor) -> Tensor:
        """The band with its halo out of a map (B, C, H, W)."""
        return x[:, :, max(0, self.start - self.halo):min(self.height, self.stop + self.halo)]

    def crop(self, y: Tensor) -> Tensor:
        """The band's own rows out of a result as high as what ``take`` gave."""
        first = min(self.start, self.halo)
        return y[:, :, first:first + self.stop - self.start]


def row_bands(x: Tensor, elements: int, halo: int) -> list[Band]:
    """The rows of a map in portions.

    Args:
        x: (B, C, H, W).
        elements: elements of the large intermediate tensors, a row.
        halo: how many rows above and below a row its result depends on.
    """
    height = x.shape[-2]
    return [Band(part.start, part.stop, halo, height) for part in portion_slices(height, len(x) * elements, x)]


def in_bands(function: Callable[..., Tensor], *maps: Tensor, elements: int, halo: int) -> Tensor:
    """``function(*maps)`` for a function of maps that depends on a few rows around each, such as convolutions do; with
    ``halo=0`` on each row alone.

    Args: as of ``row_bands``; ``function`` takes maps (B, C, H, W) of one height and returns one of the same height.
    """
    bands = row_bands(maps[0], elements, halo)
    if len(bands) == 1:
        return function(*maps)
    return torch.cat([band.crop(function(*(band.take(x) for x in maps))) for band in bands], dim=2)
