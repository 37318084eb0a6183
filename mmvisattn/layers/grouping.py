"""Cutting a map into groups of tokens for short and long distance attention (CrossFormer, ICLR 2022,
https://arxiv.org/abs/2108.00154).

One pattern serves both: the map is cut into squares of side ``group size x interval``, and within a square the tokens
whose row and column agree modulo the interval form a group. Short distance attention is the interval 1.
"""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


@dataclass(frozen=True)
class Grouping:
    """How a map of ``height`` x ``width`` tokens is cut into groups of ``rows`` x ``cols`` tokens, ``interval`` apart.

    The map is padded at the bottom and right to multiples of ``rows * interval`` and ``cols * interval``. Padding counts as
    no key (``padding_mask``), and ``ungroup`` cuts it away, so no result depends on it.
    """
    height: int
    width: int
    rows: int
    cols: int
    interval: int = 1

    @classmethod
    def of(cls, height: int, width: int, group_size: int, interval: int) -> 'Grouping':
        """The grouping for a map: a single group of the whole map where its shorter side is at most ``group_size``.

        (The released code then pads the shorter side to the longer one. The added tokens are no keys and their outputs are
        dropped, so the result is that of the unpadded group.)
        """
        if min(height, width) <= group_size:
            return cls(height, width, height, width)
        return cls(height, width, group_size, group_size, interval)

    @property
    def padding(self) -> tuple[int, int]:
        """Rows and columns to add."""
        return -self.height % (self.rows * self.interval), -self.width % (self.cols * self.interval)

    def group(self, x: Tensor, num_heads: int) -> Tensor:
        """Split the channels among heads and gather groups.

        Args:
            x: (B, height, width, num_heads * D).
            num_heads: heads.

        Returns:
            (B * groups, num_heads, rows * cols, D).
        """
        if any(self.padding):
            x = F.pad(x, (0, 0, 0, self.padding[1], 0, self.padding[0]))
        return rearrange(
            x, 'b (y g i) (x h j) (n d) -> (b y x i j) n (g h) d',
            g=self.rows, h=self.cols, i=self.interval, j=self.interval, n=num_heads)

    def ungroup(self, x: Tensor) -> Tensor:
        """The inverse of ``group``: (B * groups, num_heads, rows * cols, D) to (B, height, width, num_heads * D)."""
        padded_height = self.height + self.padding[0]
        padded_width = self.width + self.padding[1]
        x = rearrange(
            x, '(b y x i j) n (g h) d -> b (y g i) (x h j) (n d)',
            g=self.rows, h=self.cols, i=self.interval, j=self.interval,
            y=padded_height // (self.rows * self.interval), x=padded_width // (self.cols * self.interval))
        return x[:, :self.height, :self.width]

    def padding_mask(self, like: Tensor) -> Tensor | None:
        """What to add to attention logits so that padding counts as no key: (groups, 1, 1, rows * cols), or None.

        Large and finite rather than infinite: a group may be all padding, and must not become NaN.
        """
        if not any(self.padding):
            return None
        padded = torch.ones(1, self.height, self.width, 1, dtype=like.dtype, device=like.device)
        # Half the largest number leaves room for a logit bias in every floating type.
        return (1 - self.group(padded, 1)).mT * (torch.finfo(like.dtype).min / 2)
