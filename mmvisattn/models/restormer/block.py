"""Restormer's transposed attention and gated feed-forward (CVPR 2022, https://arxiv.org/abs/2111.09881)."""
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from einops import rearrange
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvisattn.layers import apply_channels_last, chunks_of, has_hooks, in_chunks, stochastic_depth, to_fast_format
from mmvisattn.registry import MODELS

NORMS = ('with_bias', 'bias_free')


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Disable autocast on the device of ``x``; does nothing on devices without autocast, such as meta."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel, in float32; (B, C, H, W) to the same.

    Args:
        dims: channels.
        kind: 'with_bias': (x - mean) / deviation * weight + bias; 'bias_free': x / deviation * weight, with the deviation
            about the mean.
    """

    def __init__(self, dims: int, kind: str = 'with_bias'):
        if kind not in NORMS:
            raise ValueError(f"norm='{kind}' is not one of {NORMS}")
        super().__init__(dims, bias=kind == 'with_bias')

    def forward(self, x: Tensor) -> Tensor:
        with without_autocast(x):
            return apply_channels_last(self.norm, x)

    def norm(self, x: Tensor) -> Tensor:
        if isinstance(self.bias, nn.Parameter):
            return F.layer_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)
        centered = x.float() if x.dtype.itemsize < 4 else x
        centered = centered - centered.mean(-1, keepdim=True)
        deviation = centered.square().mean(-1, keepdim=True).add(self.eps).sqrt()
        return x * (self.weight / deviation).to(x.dtype)


def _to_map(tokens: Tensor, like: Tensor) -> Tensor:
    """(B, H * W, C) to (B, C, H, W), with the sides of a map."""
    return tokens.unflatten(1, like.shape[-2:]).permute(0, 3, 1, 2)


class MDTA(BaseModule):
    """Multi-Dconv head transposed attention (MDTA): channels attend to channels, at a cost linear in the pixels.

    A 1 x 1 and a depthwise 3 x 3 convolution give queries, keys and values. The logits of each head are the cosines between
    the channels of its queries and the channels of its keys, times a learned temperature.

    Args:
        dims: channels, a multiple of ``num_heads``.
        num_heads: heads.
        bias: whether the convolutions have a bias.

    Shape: (B, dims, H, W), any size, to the same.
    """

    def __init__(self, dims: int, num_heads: int, bias: bool = False):
        super().__init__()
        if dims % num_heads:
            raise ValueError(f'dims={dims} is not a multiple of num_heads={num_heads}')
        self.num_heads = num_heads
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.qkv = nn.Conv2d(dims, 3 * dims, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(3 * dims, 3 * dims, 3, padding=1, groups=3 * dims, bias=bias)
        self.proj = nn.Conv2d(dims, dims, 1, bias=bias)

    def cosines(self, x: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
        """The cosines (B, heads, c, c) between queries and keys, and the values (B, H, W, dims), of ``norm(x)``."""
        products, squares, values = [], [], []
        elements = x.shape[0] * self.qkv.out_channels * x.shape[-1]  # per row
        for chunk in chunks_of(x, [self, norm], dim=2, elements_each=elements, halo=1):
            qkv = self.qkv_dwconv(self.qkv(norm(chunk.take(x))))
            q, k, v = chunk.crop(qkv).permute(0, 2, 3, 1).chunk(3, dim=-1)
            values.append(v)
            # Sum in float32 (millions of pixels), and normalise the small products rather than the two large maps.
            with without_autocast(x):
                q, k = (part.flatten(1, 2).to(torch.promote_types(part.dtype, torch.float32)) for part in (q, k))
                products.append(torch.einsum(
                    'b p n c, b p n d -> b n c d', *(part.unflatten(-1, (self.num_heads, -1)) for part in (q, k))))
                squares.append(torch.stack([q.square().sum(1), k.square().sum(1)]))
        norms = torch.stack(squares).sum(0).sqrt().clamp_min(1e-12)
        of_q, of_k = rearrange(norms, 's b (n c) -> s b n c', n=self.num_heads)
        return torch.stack(products).sum(0) / (of_q[..., None] * of_k[..., None, :]), torch.cat(values, dim=1)

    def forward(self, x: Tensor, norm: nn.Module | None = None) -> Tensor:
        """The attention of ``norm(x)``; the norm is applied chunk by chunk, so its result is never stored as a whole."""
        norm = norm or nn.Identity()
        cosines, values = self.cosines(to_fast_format(x), norm)
        attention = (cosines * self.temperature).softmax(-1)
        if has_hooks(self.proj):
            heads = values.flatten(1, 2).unflatten(-1, (self.num_heads, -1)).to(attention.dtype)
            attended = torch.einsum('b n c d, b p n d -> b p n c', attention, heads).flatten(2).to(x.dtype)
            return self.proj(_to_map(attended, x))
        # Attention and projection are both linear in the channels: one matrix (B, dims, dims) does both.
        weight = self.proj.weight.flatten(1).unflatten(-1, (self.num_heads, -1))
        matrix = torch.einsum('o n c, b n c d -> b o n d', weight, attention.to(weight.dtype)).flatten(2)
        y = values.flatten(1, 2) @ matrix.to(values.dtype).mT
        y = y if self.proj.bias is None else y + self.proj.bias.to(y.dtype)
        return _to_map(y, x)


class GDFN(BaseModule):
    """Gated-Dconv feed-forward network (GDFN): GELU of one half of the hidden channels times the other half.

    Args:
        dims: channels.
        ffn_expansion_factor: hidden channels of each half as a multiple of ``dims``, rounded down.
        bias: whether the convolutions have a bias.

    Shape: (B, dims, H, W), any size, to the same.
    """

    def __init__(self, dims: int, ffn_expansion_factor: float = 2.66, bias: bool = False):
        super().__init__()
        hidden = int(dims * ffn_expansion_factor)
        self.project_in = nn.Conv2d(dims, 2 * hidden, 1, bias=bias)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=bias)
        self.proj = nn.Conv2d(hidden, dims, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(to_fast_format(x))).chunk(2, dim=1)
        return self.proj(F.gelu(gate) * value)


@MODELS.register_module()
class RestormerBlock(BaseModule):
    """x + MDTA(norm(x)), then x + GDFN(norm(x)).

    Args:
        dims: channels.
        num_heads: heads of the transposed attention.
        ffn_expansion_factor: width of each half of the gated feed-forward as a multiple of ``dims``.
        bias: whether the convolutions have a bias.
        norm: 'with_bias' or 'bias_free', see ``ChannelNorm``.
        drop_path: stochastic depth.

    Shape: (B, dims, H, W), any size, to the same; channels last in memory on a CPU.
    """

    def __init__(self, dims: int, num_heads: int, ffn_expansion_factor: float = 2.66, bias: bool = False,
                 norm: str = 'with_bias', drop_path: float = 0.0):
        super().__init__()
        self.norm1 = ChannelNorm(dims, norm)
        self.attn = MDTA(dims, num_heads, bias)
        self.norm2 = ChannelNorm(dims, norm)
        self.ffn = GDFN(dims, ffn_expansion_factor, bias)
        self.drop_path = stochastic_depth(drop_path)

    def feed_forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.ffn(self.norm2(x)))

    def forward(self, x: Tensor) -> Tensor:
        x = to_fast_format(x)
        x = x + self.drop_path(self.attn(x, self.norm1))
        if self.training:  # DropPath acts on whole samples, so no chunks
            return self.feed_forward(x)
        elements = x.shape[0] * self.ffn.project_in.out_channels * x.shape[-1]  # per row
        return in_chunks(self.feed_forward, x, within=self, dim=2, elements_each=elements, halo=1)
