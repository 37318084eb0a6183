"""Restoring large images in overlapping tiles."""
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

BLENDINGS = ('linear', 'mean')


def tile_starts(side: int, tile: int, overlap: int) -> list[int]:
    """Where tiles start along a side of an image; the last tile ends at the border."""
    last = max(0, side - tile)
    return [*range(0, last, tile - overlap), last]


def _ramp(tile: int, overlap: int, device: torch.device) -> Tensor:
    """The blending weights along a side of a tile: they rise over the overlap, stay at 1, and fall."""
    rising = torch.arange(1, tile + 1, device=device) / (overlap + 1)
    return torch.minimum(rising, rising.flip(0)).clamp(max=1)


def in_tiles(function: Callable[[Tensor], Tensor], image: Tensor, tile: int, overlap: int,
             blending: str = 'linear') -> Tensor:
    """``function(image)`` in square tiles of one size, put together where they overlap.

    An image that fits into a tile is not cut. All other calls of the function get tiles of exactly this size, so that it may
    be a compiled or exported model: a side that is shorter is continued by copies of the last row or column.

    Args:
        function: maps images (B, C, H, W) to (B, C', H, W).
        image: (B, C, H, W).
        tile: pixels of a tile's side.
        overlap: pixels that neighbours share.
        blending: 'linear': the weights of the tiles fall towards their borders, so that no seams show; 'mean': the tiles
            count the same.

    Raises:
        ValueError: unless 0 <= overlap < tile, or for another blending.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f'tile_overlap={overlap} must be at least 0 and less than tile={tile}')
    if blending not in BLENDINGS:
        raise ValueError(f"blending='{blending}' is not one of {BLENDINGS}")
    height, width = image.shape[-2:]
    if height <= tile and width <= tile:
        return function(image)
    padded = F.pad(image, (0, max(0, tile - width), 0, max(0, tile - height)), mode='replicate')
    ramp = _ramp(tile, overlap if blending == 'linear' else 0, image.device)
    weight = ramp[:, None] * ramp
    total: Tensor | None = None
    weights = image.new_zeros(padded.shape[-2:])
    for top in tile_starts(height, tile, overlap):
        for left in tile_starts(width, tile, overlap):
            place = (..., slice(top, top + tile), slice(left, left + tile))
            restored = function(padded[place])
            if total is None:
                total = image.new_zeros(*restored.shape[:2], *padded.shape[-2:])
            total[place] += restored * weight
            weights[place] += weight
    assert total is not None
    return total.div_(weights)[..., :height, :width]


def tile_for_memory(pixels_at_once: float, height: int, width: int, multiple: int = 32) -> int | None:
    """The side of the largest square tiles with at most so many pixels; None if the whole image has no more.

    Raises:
        ValueError: if not even the smallest tile, of 64 pixels, fits.
    """
    if height * width <= pixels_at_once:
        return None
    side = int(pixels_at_once**0.5) // multiple * multiple
    if side < 64:
        raise ValueError('not even tiles of 64 pixels fit')
    return side
