"""Dynamic position bias (DPB; CrossFormer, ICLR 2022, https://arxiv.org/abs/2108.00154): a learned function of the offset
between two tokens, which works for any group size."""
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn


def bias_between_tokens(table: Tensor, start: int, stop: int) -> Tensor:
    """The logit bias between the tokens in some rows of a group (queries) and all tokens of the group (keys).

    Args:
        table: bias by offset, (num_heads, 2 rows - 1, 2 cols - 1) for a group of rows x cols tokens.
        start, stop: the first row of the queries, and the row after the last one.

    Returns:
        (num_heads, (stop - start) * cols, rows * cols): the logit bias of each query and key.
    """
    num_heads, height, width = table.shape
    rows, cols = (height + 1) // 2, (width + 1) // 2
    row, col = torch.arange(rows, device=table.device), torch.arange(cols, device=table.device)
    row_offset = row[start:stop, None] - row + rows - 1
    col_offset = col[:, None] - col + cols - 1
    offset = row_offset[:, None, :, None] * width + col_offset[None, :, None, :]
    # On a CPU, index_select on a flat table takes a third of the time of indexing with two tensors, also in backward.
    return table.flatten(1).index_select(1, offset.flatten()).view(num_heads, (stop - start) * cols, rows * cols)


class DynamicPositionBias(BaseModule):
    """Dynamic position bias (DPB): an MLP from the offset (row_i - row_j, col_i - col_j) to one logit bias per head.

    Linear(2, hidden), then three times LayerNorm, ReLU, Linear; the last one to ``num_heads``.

    Args:
        dims: channels of the attention; the MLP's width is ``dims // 4 // 4``.
        num_heads: heads of the attention.
    """

    def __init__(self, dims: int, num_heads: int):
        super().__init__()
        hidden = dims // 4 // 4
        layers: list[nn.Module] = [nn.Linear(2, hidden)]
        for out in (hidden, hidden, num_heads):
            layers += [nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, out)]
        self.mlp = nn.Sequential(*layers)

    def forward(self, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
        """The bias by offset for groups of several sizes.

        The MLP runs once, over the offsets of the largest rows and cols, which include all others.

        Args:
            sizes: (rows, cols) of each kind of group.

        Returns:
            One table (num_heads, 2 rows - 1, 2 cols - 1) per size; its middle is the offset (0, 0).
        """
        weight = next(self.mlp.parameters())
        max_rows, max_cols = (max(n) for n in zip(*sizes))
        row_offsets, col_offsets = (
            torch.arange(1 - n, n, device=weight.device, dtype=weight.dtype) for n in (max_rows, max_cols))
        offsets = torch.stack(torch.meshgrid(row_offsets, col_offsets, indexing='ij'), dim=-1)
        table = self.mlp(offsets).permute(2, 0, 1)
        # A tuple, because torch calls no backward hooks of modules that return a list.
        return tuple(table[:, max_rows - rows:max_rows + rows - 1, max_cols - cols:max_cols + cols - 1]
                     for rows, cols in sizes)
