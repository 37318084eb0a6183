"""Restoring large images in overlapping tiles."""
from collections.abc import Callable

import torch
from torch import Tensor


def tile_starts(side: int, tile: int, overlap: int) -> list[int]:
    """Where tiles start along a side of an image; the last tile ends at the border."""
    last = max(0, side - tile)
    return [*range(0, last, tile - overlap), last]


def _ramp(tile: int, overlap: int, device: torch.device) -> Tensor:
    """The blending weights along a side of a tile: they rise over the overlap, stay at 1, and fall."""
    rising = torch.arange(1, tile + 1, device=device) / (overlap + 1)
    return torch.minimum(rising, rising.flip(0)).clamp(max=1)


def in_tiles(function: Callable[[Tensor], Tensor], image: Tensor, tile: int, overlap: int) -> Tensor:
    """``function(image)`` in square tiles, blended where they overlap, so that no seams show.

    Args:
        function: maps images (B, C, H, W) to (B, C', H, W).
        image: (B, C, H, W).
        tile: pixels of a tile's side.
        overlap: pixels that neighbours share.

    Raises:
        ValueError: unless 0 <= overlap < tile.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f'tile_overlap={overlap} must be at least 0 and less than tile={tile}')
    height, width = image.shape[-2:]
    if height <= tile and width <= tile:
        return function(image)
    rows, cols = min(tile, height), min(tile, width)
    weight = (_ramp(rows, min(overlap, rows - 1), image.device)[:, None]
              * _ramp(cols, min(overlap, cols - 1), image.device))
    total: Tensor | None = None
    weights = image.new_zeros(height, width)
    for top in tile_starts(height, tile, overlap):
        for left in tile_starts(width, tile, overlap):
            place = (..., slice(top, top + rows), slice(left, left + cols))
            restored = function(image[place])
            if total is None:
                total = restored.new_zeros(*restored.shape[:2], height, width)
            total[place] += restored * weight
            weights[place] += weight
    assert total is not None
    return total.div_(weights)
