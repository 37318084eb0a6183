"""Scale-aware modulation (SMT, ICCV 2023, https://arxiv.org/abs/2307.08579)."""
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmvisattn.layers import ConvNormAct, apply_channels_last, in_chunks, to_fast_format
from mmvisattn.registry import MODELS


class MultiHeadMixedConv(BaseModule):
    """Multi-head mixed convolution (MHMC): a depthwise convolution per head, each with its own kernel size.

    Args:
        dims: channels, a multiple of ``num_heads``.
        num_heads: heads; head i (from 0) has a kernel with 3 + 2 i pixels per side.

    Shape: (B, dims, H, W) to ``num_heads`` maps (B, dims / num_heads, H, W).
    """

    def __init__(self, dims: int, num_heads: int = 4):
        super().__init__()
        if dims % num_heads:
            raise ValueError(f'dims={dims} is not a multiple of num_heads={num_heads}')
        width = dims // num_heads
        self.convs = ModuleList(
            nn.Conv2d(width, width, 3 + 2 * i, padding=1 + i, groups=width) for i in range(num_heads))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        # A tuple, because torch calls no backward hooks of modules that return a list.
        return tuple(conv(head) for conv, head in zip(self.convs, x.chunk(len(self.convs), dim=1)))


class ScaleAwareAggregation(BaseModule):
    """Scale-aware aggregation (SAA): mixes the heads channel by channel, then all channels.

    Group g holds channel g of every head; a grouped 1 x 1 convolution (with norm and GELU) widens each group, and a 1 x 1
    convolution mixes the groups.

    Args:
        dims: channels of all heads together.
        num_heads: heads.
        expansion: width between the two convolutions as a multiple of ``dims``.
        norm_cfg: the norm between them.

    Shape: ``num_heads`` maps (B, dims / num_heads, H, W) to (B, dims, H, W).
    """

    def __init__(self, dims: int, num_heads: int = 4, expansion: int = 2, norm_cfg: dict | None = None):
        super().__init__()
        self.widen = ConvNormAct(
            dims, expansion * dims, 1, norm_cfg or dict(type='BN'), 'GELU', groups=dims // num_heads, bias=True)
        self.mix = nn.Conv2d(expansion * dims, dims, 1)

    def forward(self, heads: Sequence[Tensor]) -> Tensor:
        # Joining the heads copies them anyway, so interleave them in the same step: (B, H, W, channel within head, head).
        joined = torch.stack([head.permute(0, 2, 3, 1) for head in heads], dim=-1).flatten(-2)
        return self.mix(self.widen(joined.permute(0, 3, 1, 2)))


@MODELS.register_module()
class ScaleAwareModulation(BaseModule):
    """Scale-aware modulation (SAM): a linear value of each pixel times a modulator computed at several scales around it.

    Args:
        dims: channels, a multiple of ``num_heads``.
        num_heads: heads of the mixed convolution, each with its own kernel size.
        expansion: width within the aggregation as a multiple of ``dims``.
        norm_cfg: the norm within the aggregation.

    Shape: (B, dims, H, W), any size, to the same; channels last in memory.
    """

    def __init__(self, dims: int, num_heads: int = 4, expansion: int = 2, norm_cfg: dict | None = None):
        super().__init__()
        self.to_value_and_scales = nn.Linear(dims, 2 * dims)
        self.convs = MultiHeadMixedConv(dims, num_heads)
        self.aggregation = ScaleAwareAggregation(dims, num_heads, expansion, norm_cfg)
        self.proj = nn.Linear(dims, dims)

    def value_and_heads(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The value (B, dims, H, W), and the heads of the mixed convolution."""
        value, scales = apply_channels_last(self.to_value_and_scales, to_fast_format(x)).chunk(2, dim=1)
        return value, self.convs(scales)

    def modulate(self, value: Tensor, *heads: Tensor) -> Tensor:
        return apply_channels_last(self.proj, value * self.aggregation(heads))

    def forward(self, x: Tensor) -> Tensor:
        value, heads = self.value_and_heads(x)
        if self.training:  # batch norm takes its statistics from whole maps, so no chunks
            return self.modulate(value, *heads)
        elements = 2 * x.shape[0] * self.aggregation.mix.in_channels * x.shape[-1]  # per row
        return in_chunks(self.modulate, value, *heads, within=self, dim=2, elements_each=elements)
