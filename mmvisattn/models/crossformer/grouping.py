"""Cutting a map into groups of tokens for short and long distance attention (CrossFormer, ICLR 2022,
https://arxiv.org/abs/2108.00154).

Short distance attention (SDA) groups neighbours. Long distance attention (LDA) groups tokens whose row and column agree
modulo an interval: over the whole map in the paper, within squares in the authors' later code. The groups of a map of 6 x 6
tokens, for SDA with groups of 3 x 3, for LDA with interval 3 over the whole map, and for LDA with interval 2 in squares::

    SDA            LDA, map       LDA, squares
    a a a b b b    a b c a b c    a b a b a b
    a a a b b b    d e f d e f    c d c d c d
    a a a b b b    g h i g h i    a b a b a b
    c c c d d d    a b c a b c    c d c d c d
    c c c d d d    d e f d e f    a b a b a b
    c c c d d d    g h i g h i    c d c d c d

The released code pads the map with zeros to whole groups and masks the padding. Here nothing is padded: the groups at the
bottom and right have fewer tokens. The result is the same, because padded tokens are never keys and their outputs are
discarded, and the work on padding is saved.
"""
import operator
from collections import defaultdict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def axis_groups(length: int, size: int, interval: int) -> list[range]:
    """The groups along one axis of a map.

    The axis is cut into stretches of ``size * interval`` tokens; the tokens of a stretch that agree modulo ``interval`` form
    a group. For (7, 2, 2) the groups are 0 2, 1 3, 4 6 and 5. The groups have at most three different lengths.
    """
    side = size * interval
    return [range(start + offset, min(start + side, length), interval)
            for start in range(0, length, side) for offset in range(min(interval, length - start))]


def _by_length(groups: list[range], device: torch.device) -> list[Tensor]:
    """The positions in the groups, as one tensor (groups, length) per length of group."""
    found: dict[int, list[list[int]]] = defaultdict(list)
    for group in groups:
        found[len(group)].append(list(group))
    return [torch.tensor(same, device=device) for same in found.values()]


@dataclass(frozen=True, eq=False)
class Region:
    """All groups of ``rows`` x ``cols`` tokens of a map.

    Attributes:
        rows, cols: tokens of each group.
        index: flat positions of the tokens in the map, group after group: (groups * rows * cols).
    """
    rows: int
    cols: int
    index: Tensor


@dataclass(frozen=True, eq=False)
class Grouping:
    """How a map is cut into groups, for short (SDA) or long distance attention (LDA).

    Attributes:
        regions: one per size of group, at most nine.
        inverse: the position of each token of the map in the concatenation of the regions' tokens: (height * width).
    """
    regions: tuple[Region, ...]
    inverse: Tensor

    @classmethod
    def of(cls, height: int, width: int, rows: int, cols: int, interval: int, device: torch.device) -> 'Grouping':
        """The groups of a map of ``height`` x ``width`` tokens.

        A group has at most ``rows`` x ``cols`` tokens, ``interval`` rows and columns apart.
        """
        # The index tables depend on the exact size, so torch.compile specialises: one graph per input size.
        height, width = operator.index(height), operator.index(width)
        horizontal = _by_length(axis_groups(width, cols, interval), device)
        regions = []
        for down in _by_length(axis_groups(height, rows, interval), device):
            for across in horizontal:
                index = down[:, None, :, None] * width + across[:, None, :]
                regions.append(Region(down.shape[1], across.shape[1], index.flatten()))
        order = torch.cat([region.index for region in regions])
        inverse = torch.empty_like(order).scatter_(0, order, torch.arange(height * width, device=device))
        return cls(tuple(regions), inverse)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(rows, cols) of each region's groups."""
        return tuple((region.rows, region.cols) for region in self.regions)

    def group(self, x: Tensor) -> list[Tensor]:
        """(B, H, W, C) to one (B * groups, rows * cols, C) per region."""
        tokens = x.flatten(1, 2)
        return [tokens.index_select(1, region.index).unflatten(1, (-1, region.rows * region.cols)).flatten(0, 1)
                for region in self.regions]

    def ungroup(self, groups: list[Tensor], shape: torch.Size) -> Tensor:
        """The inverse of ``group``, to a map of the given (B, H, W, …)."""
        tokens = torch.cat([
            x.reshape(shape[0], len(region.index), x.shape[-1]) for x, region in zip(groups, self.regions)], dim=1)
        return tokens.index_select(1, self.inverse).unflatten(1, shape[1:3])


@dataclass(frozen=True, eq=False)
class PaddedGrouping:
    """The groups of a map of any size, for programs of ``torch.export``: the map is padded to whole groups of one size, and
    the padding is masked, as in the released code.

    Attributes:
        height, width: of the map.
        down, across: how many stretches of ``rows * interval`` rows and ``cols * interval`` columns cover it.
        rows, cols, interval: tokens of each group, and their distance.
    """
    height: int
    width: int
    down: int
    across: int
    rows: int
    cols: int
    interval: int

    def group(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to (B * groups, rows * cols, C)."""
        bottom = self.down * self.rows * self.interval - self.height
        right = self.across * self.cols * self.interval - self.width
        x = F.pad(x, (0, 0, 0, right, 0, bottom))
        x = x.reshape(x.shape[0], self.down, self.rows, self.interval, self.across, self.cols, self.interval, x.shape[-1])
        return x.permute(0, 1, 3, 4, 6, 2, 5, 7).reshape(-1, self.rows * self.cols, x.shape[-1])

    def ungroup(self, x: Tensor) -> Tensor:
        """The inverse of ``group``, without the padding."""
        channels = x.shape[-1]
        x = x.reshape(-1, self.down, self.interval, self.across, self.interval, self.rows, self.cols, channels)
        x = x.permute(0, 1, 5, 2, 3, 6, 4, 7).reshape(
            -1, self.down * self.rows * self.interval, self.across * self.cols * self.interval, channels)
        rows, cols = (torch.arange(side, device=x.device) for side in (self.height, self.width))
        return x.index_select(1, rows).index_select(2, cols)

    def mask(self, like: Tensor) -> Tensor:
        """What is added to the logits of each key: 0, or the smallest value for padding; (groups, 1, 1, rows * cols)."""
        row, col = (
            (torch.arange(count * side * self.interval, device=like.device) < length).view(count, side, self.interval).mT
            for count, side, length in ((self.down, self.rows, self.height), (self.across, self.cols, self.width)))
        inside = row[:, :, None, None, :, None] & col[:, :, None, :]
        mask = torch.zeros_like(inside, dtype=like.dtype).masked_fill(~inside, torch.finfo(like.dtype).min / 2)
        return mask.reshape(-1, 1, 1, self.rows * self.cols)
