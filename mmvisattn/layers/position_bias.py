"""Dynamic position bias (CrossFormer, ICLR 2022, https://arxiv.org/abs/2108.00154): a learned function of the offset between
two tokens, so that it serves any group size."""
from collections.abc import Sequence

import torch
from einops import rearrange
from mmengine.model import BaseModule
from torch import Tensor, nn


class DynamicPositionBias(BaseModule):
    """An MLP from the offset (row_i - row_j, col_i - col_j) in tokens to one logit bias a head.

    Linear(2, hidden), then three times LayerNorm, ReLU, Linear; the last one to ``num_heads``.

    In eval mode without gradients the tables of the last few sizes of map are kept. They are dropped on every change of
    mode, dtype or device, on loading, and when a parameter was written to in place. (Writing through ``parameter.data``
    hides itself from torch's version counters: change the mode, as mmengine does around validation, or call
    ``drop_tables``.)

    Args:
        dims: channels of the attention; the MLP's width is ``dims // 4 // 4``.
        num_heads: heads of the attention.
    """

    most_tables = 4

    def __init__(self, dims: int, num_heads: int):
        super().__init__()
        hidden = dims // 4 // 4
        layers: list[nn.Module] = [nn.Linear(2, hidden)]
        for out in (hidden, hidden, num_heads):
            layers += [nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, out)]
        self.mlp = nn.Sequential(*layers)
        self.drop_tables()

    def drop_tables(self) -> None:
        """Forget the kept tables."""
        self._tables: dict[tuple, tuple[tuple, tuple[Tensor, ...]]] = {}

    def train(self, mode: bool = True):
        self.drop_tables()
        return super().train(mode)

    def _apply(self, fn, recurse: bool = True):
        self.drop_tables()
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        self.drop_tables()
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _tables={})

    def compute(self, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
        """The biases of groups of several (rows, cols): for each (num_heads, rows * cols, rows * cols)."""
        weight = next(self.mlp.parameters())
        most_rows, most_cols = (max(n) for n in zip(*sizes))
        row_offsets = torch.arange(1 - most_rows, most_rows, device=weight.device, dtype=weight.dtype)
        col_offsets = torch.arange(1 - most_cols, most_cols, device=weight.device, dtype=weight.dtype)
        table = self.mlp(torch.stack(torch.meshgrid(row_offsets, col_offsets, indexing='ij'), dim=-1))

        def between_tokens(rows: int, cols: int) -> Tensor:
            row, col = (torch.arange(n, device=weight.device) for n in (rows, cols))
            of_rows = (row[:, None] - row + most_rows - 1)[:, None, :, None]
            of_cols = (col[:, None] - col + most_cols - 1)[None, :, None, :]
            return rearrange(table[of_rows, of_cols], 'g h k l n -> n (g h) (k l)').contiguous()

        return tuple(between_tokens(*size) for size in sizes)

    def forward(self, sizes: tuple[tuple[int, int], ...]) -> tuple[Tensor, ...]:
        """As ``compute``, from the kept tables where they are valid."""
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self.compute(sizes)
        # Inference tensors have no version; being unwritable outside inference mode, they need none.
        weights = tuple((p.data_ptr(), 0 if p.is_inference() else p._version) for p in self.parameters())
        settings = (weights, torch.is_autocast_enabled(next(self.parameters()).device.type))
        kept = self._tables.get(sizes)
        if kept is None or kept[0] != settings:
            self._tables.pop(sizes, None)
            if len(self._tables) == self.most_tables:
                del self._tables[next(iter(self._tables))]
            kept = self._tables[sizes] = (settings, self.compute(sizes))
        return kept[1]
