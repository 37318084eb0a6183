"""Transposed attention over the levels of a pyramid (after Restormer, CVPR 2022, https://arxiv.org/abs/2111.09881).

Experimental: no paper publishes figures.
"""
from collections.abc import Sequence

from mmengine.model import BaseModule, ModuleList
from torch import Tensor

from mmvisattn.layers import BlockSequence, to_contiguous
from mmvisattn.models.backbone import InitCfg, check_maps
from mmvisattn.registry import MODELS

from .block import RestormerBlock


@MODELS.register_module()
class MDTANeck(BaseModule):
    """Refine each level of any backbone's pyramid with Restormer's blocks, at a cost linear in the pixels.

    Args:
        in_channels: channels of each level.
        num_heads: heads of the transposed attention: one number per level, or one for all.
        num_blocks: blocks per level.
        ffn_expansion_factor: width of each half of the gated feed-forwards as a multiple of the channels.
        norm: 'with_bias' or 'bias_free'.
        with_cp: recompute each block's activations in the backward pass.
        init_cfg: as in mmengine.

    Shape: one map (B, in_channels[i], H_i, W_i) per level to the same.

    Raises:
        ValueError: if the number of maps or of heads does not match ``in_channels``, or heads do not divide channels.
    """

    keeps_channels = True

    def __init__(self,
                 in_channels: Sequence[int],
                 num_heads: int | Sequence[int] = 8,
                 num_blocks: int = 1,
                 ffn_expansion_factor: float = 2.66,
                 norm: str = 'with_bias',
                 with_cp: bool = False,
                 init_cfg: InitCfg = None):
        super().__init__(init_cfg)
        heads = [num_heads] * len(in_channels) if isinstance(num_heads, int) else list(num_heads)
        if len(heads) != len(in_channels):
            raise ValueError(f'num_heads={num_heads} must be one number, or one per level of in_channels={in_channels}')
        self.levels = ModuleList(
            BlockSequence([RestormerBlock(dims, n, ffn_expansion_factor, norm=norm) for _ in range(num_blocks)], with_cp)
            for dims, n in zip(in_channels, heads))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        check_maps('MDTANeck', maps)
        if len(maps) != len(self.levels):
            raise ValueError(f'MDTANeck: {len(maps)} maps for {len(self.levels)} in_channels')
        return to_contiguous(level(x) for x, level in zip(maps, self.levels))
