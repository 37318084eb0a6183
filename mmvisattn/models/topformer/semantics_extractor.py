"""TopFormer's pyramid pooling and scale-aware semantics extractor (SASE; CVPR 2022, https://arxiv.org/abs/2204.05525).

Shared by the backbone and by ``SemanticInjection``, which builds an extractor if a backbone returns a pyramid only.

Difference from the paper: by default, attention logits are not scaled by ``key_dim ** -0.5``, because the released code,
and so every published weight, leaves the scale out.
"""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from mmengine.model import BaseModule, constant_init
from torch import Tensor, nn

from mmvisattn.layers import BlockSequence, ConvNormAct, drop_path_rates, stochastic_depth


def _averaging(size: int, bins: int, like: Tensor) -> Tensor:
    """The (bins, size) matrix of adaptive average pooling: bin i averages floor(i s / b) to ceil((i + 1) s / b)."""
    start = torch.arange(bins, device=like.device)[:, None] * size
    position = torch.arange(size, device=like.device) * bins
    inside = ((position + bins > start) & (position < start + size)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


def average_pool(x: Tensor, height: int, width: int) -> Tensor:
    """Adaptive average pooling of (B, C, H, W) to (B, C, height, width).

    inductor cannot lower ``F.adaptive_avg_pool2d`` once input sizes are symbolic (torch 2.13: "cannot determine truth value
    of Relational"), so a compiled model pools by two small matrix products.
    """
    if not torch.compiler.is_compiling():
        return F.adaptive_avg_pool2d(x, (height, width))
    rows, columns = _averaging(x.shape[-2], height, x), _averaging(x.shape[-1], width, x)
    return rows @ x @ columns.T


def pyramid_pooling(maps: Sequence[Tensor], reduction: int = 2) -> Tensor:
    """Average-pool maps to a part of the size of the last one, rounded up, and concatenate them on channels.

    Args:
        maps: tensors of shapes (B, C_i, H_i, W_i).
        reduction: the last map's sides are divided by this.

    Returns:
        (B, sum of C_i, ceil(H_last / reduction), ceil(W_last / reduction)).
    """
    height, width = ((side + reduction - 1) // reduction for side in maps[-1].shape[-2:])
    return torch.cat([average_pool(x, height, width) for x in maps], dim=1)


class SemanticsAttention(BaseModule):
    """Multi-head self-attention over all pixels, projected by 1 x 1 conv + BN; (B, C, H, W) to the same."""

    def __init__(self, dims: int, num_heads: int, key_dim: int, value_dim: int, scale_attention: bool, norm_cfg: dict):
        super().__init__()
        self.num_heads = num_heads
        self.scale = key_dim**-0.5 if scale_attention else 1.0
        self.to_q = ConvNormAct(dims, num_heads * key_dim, 1, norm_cfg)
        self.to_k = ConvNormAct(dims, num_heads * key_dim, 1, norm_cfg)
        self.to_v = ConvNormAct(dims, num_heads * value_dim, 1, norm_cfg)
        self.act = nn.ReLU6()
        self.proj = ConvNormAct(num_heads * value_dim, dims, 1, norm_cfg)

    def init_weights(self) -> None:
        """The block starts as the identity: the last norm of this branch has weight 0."""
        super().init_weights()
        constant_init(self.proj.norm, val=0, bias=0)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (rearrange(proj(x), 'b (n d) h w -> b n (h w) d', n=self.num_heads)
                   for proj in (self.to_q, self.to_k, self.to_v))
        # torch's scaled_dot_product_attention takes three times as long for so few pixels on a CPU.
        x_attended = (self.scale * q @ k.transpose(-2, -1)).softmax(-1) @ v
        x_attended = rearrange(x_attended, 'b n (h w) d -> b (n d) h w', h=x.shape[-2])
        return self.proj(self.act(x_attended))


class FeedForward(BaseModule):
    """1 x 1 conv + BN, depthwise 3 x 3, ReLU6, 1 x 1 conv + BN; (B, C, H, W) to the same."""

    def __init__(self, dims: int, hidden_dims: int, norm_cfg: dict):
        super().__init__()
        self.fc1 = ConvNormAct(dims, hidden_dims, 1, norm_cfg)
        self.dwconv = nn.Conv2d(hidden_dims, hidden_dims, 3, padding=1, groups=hidden_dims)
        self.act = nn.ReLU6()
        self.fc2 = ConvNormAct(hidden_dims, dims, 1, norm_cfg)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.dwconv(self.fc1(x))))


class TransformerBlock(BaseModule):
    """x + Attention(x), then x + FeedForward(x), without layer norms; (B, C, H, W) to the same."""

    def __init__(self, dims: int, num_heads: int, key_dim: int, value_dim: int, mlp_ratio: float, drop_path: float,
                 scale_attention: bool, norm_cfg: dict):
        super().__init__()
        self.attn = SemanticsAttention(dims, num_heads, key_dim, value_dim, scale_attention, norm_cfg)
        self.mlp = FeedForward(dims, int(dims * mlp_ratio), norm_cfg)
        self.drop_path = stochastic_depth(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(x))
        return x + self.drop_path(self.mlp(x))


class SemanticsExtractor(BaseModule):
    """Scale-aware semantics extractor (SASE): a few transformer blocks over the pooled pyramid.

    Args:
        dims: channels of the pooled map: the sum over the pyramid's levels.
        num_heads: heads of each attention.
        num_blocks: number of transformer blocks.
        key_dim: width of queries and keys per head.
        value_dim: width of values per head.
        mlp_ratio: hidden width of the feed-forward network as a multiple of ``dims``.
        drop_path_rate: stochastic depth of the last block, rising linearly from 0.
        scale_attention: multiply the logits by ``key_dim ** -0.5``; off in all published weights.
        norm_cfg: the norm after the 1 x 1 convolutions.
        with_cp: recompute each block's activations in the backward pass.

    Shape: (B, dims, H, W) to the same.
    """

    def __init__(self,
                 dims: int,
                 num_heads: int,
                 num_blocks: int = 4,
                 key_dim: int = 16,
                 value_dim: int = 32,
                 mlp_ratio: float = 2.0,
                 drop_path_rate: float = 0.1,
                 scale_attention: bool = False,
                 norm_cfg: dict | None = None,
                 with_cp: bool = False):
        super().__init__()
        rates, = drop_path_rates(drop_path_rate, [num_blocks])
        self.blocks = BlockSequence([
            TransformerBlock(dims, num_heads, key_dim, value_dim, mlp_ratio, rate, scale_attention,
                             norm_cfg or dict(type='BN')) for rate in rates], with_cp)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)
