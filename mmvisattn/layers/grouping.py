"""Cutting a map into groups of tokens for short and long distance attention (CrossFormer, ICLR 2022,
https://arxiv.org/abs/2108.00154).

One pattern serves both: the map is cut into squares of side ``group size x interval``, and within a square the tokens
whose row and column agree modulo the interval form a group. Short distance attention (SDA) is the interval 1, long
distance attention (LDA) any other.

The released code pads the map with zeros to whole squares and masks the padding. Here nothing is padded: the groups at the
bottom and right simply have fewer tokens. That gives the same result, because padding is no key and its outputs are cut
away, without the work.
"""
import operator
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor


@dataclass(frozen=True)
class Strip:
    """Tokens along one axis that fall into groups of one size: at ``start + (square * size + token) * interval + offset``
    for ``num_squares`` squares, ``size`` tokens a group and ``num_offsets`` groups a square."""
    start: int
    num_squares: int
    size: int
    num_offsets: int
    interval: int

    def positions(self, device: torch.device) -> Tensor:
        """(num_squares, size, num_offsets) positions on the axis."""
        tokens = torch.arange(self.num_squares * self.size, device=device) * self.interval + self.start
        offsets = torch.arange(self.num_offsets, device=device)
        return (tokens[:, None] + offsets).unflatten(0, (self.num_squares, self.size))


def strips(length: int, size: int, interval: int) -> Iterator[Strip]:
    """The strips of an axis: whole squares, then the rest, in which the first groups may have one token more."""
    whole, rest = divmod(length, size * interval)
    tokens, longer = divmod(rest, interval)
    start = length - rest
    if whole:
        yield Strip(0, whole, size, interval, interval)
    if longer:
        yield Strip(start, 1, tokens + 1, longer, interval)
    if tokens:
        yield Strip(start + longer, 1, tokens, interval - longer, interval)


@dataclass(frozen=True)
class Region:
    """All groups of ``rows`` x ``cols`` tokens of a map.

    Attributes:
        rows, cols: tokens of each group.
        index: flat positions of the tokens in the map, group after group: (groups * rows * cols).
    """
    rows: int
    cols: int
    index: Tensor


@dataclass(frozen=True)
class Grouping:
    """How a map is cut into groups.

    Attributes:
        regions: at most nine, one for each size of group.
        inverse: where each token of the map is found when the regions' tokens are laid end to end: (height * width).
    """
    regions: tuple[Region, ...]
    inverse: Tensor

    @classmethod
    def of(cls, height: int, width: int, group_size: int, interval: int, device: torch.device) -> 'Grouping':
        """The groups of a map of ``height`` x ``width`` tokens: a single one if its shorter side is at most ``group_size``.

        (The released code then pads the shorter side to the longer one, which changes nothing, see above.)
        """
        # How a map is cut depends on its size in too many ways for one graph: torch.compile makes one a size.
        height, width, interval = map(operator.index, (height, width, interval))
        if min(height, width) <= group_size:
            vertical, horizontal = [Strip(0, 1, height, 1, 1)], [Strip(0, 1, width, 1, 1)]
        else:
            vertical, horizontal = list(strips(height, group_size, interval)), list(strips(width, group_size, interval))
        regions = []
        for rows in vertical:
            for cols in horizontal:
                index = (rows.positions(device) * width)[:, :, :, None, None, None] + cols.positions(device)
                regions.append(Region(rows.size, cols.size, rearrange(index, 'y g i x h j -> (y x i j g h)')))
        order = torch.cat([region.index for region in regions])
        inverse = torch.empty_like(order).scatter_(0, order, torch.arange(height * width, device=device))
        return cls(tuple(regions), inverse)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(rows, cols) of each region's groups."""
        return tuple((region.rows, region.cols) for region in self.regions)

    def group(self, x: Tensor) -> list[Tensor]:
        """(B, H, W, C) to one (B * groups, rows * cols, C) a region."""
        tokens = x.flatten(1, 2)
        return [tokens.index_select(1, region.index).view(-1, region.rows * region.cols, x.shape[-1])
                for region in self.regions]

    def ungroup(self, groups: list[Tensor], shape: torch.Size) -> Tensor:
        """The inverse of ``group``, to a map of the given (B, H, W, …)."""
        tokens = torch.cat([x.reshape(shape[0], -1, x.shape[-1]) for x in groups], dim=1)
        return tokens.index_select(1, self.inverse).unflatten(1, shape[1:3])
