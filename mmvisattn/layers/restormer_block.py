"""Restormer's transposed attention and gated feed-forward (CVPR 2022, https://arxiv.org/abs/2111.09881)."""
import torch
import torch.nn.functional as F
from einops import rearrange
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvisattn.registry import MODELS

from .layout import channels_last, fast_layout
from .portions import in_bands, row_bands

NORMS = ('with_bias', 'bias_free')


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
        with torch.autocast(x.device.type, enabled=False):
            return channels_last(self.norm, x)

    def norm(self, x: Tensor) -> Tensor:
        if isinstance(self.bias, nn.Parameter):
            return F.layer_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)
        centred = x.float() if x.dtype.itemsize < 4 else x
        centred = centred - centred.mean(-1, keepdim=True)
        deviation = centred.square().mean(-1, keepdim=True).add(self.eps).sqrt()
        return x * (self.weight / deviation).to(x.dtype)


class MDTA(BaseModule):
    """Multi-Dconv head transposed attention: channels attend to channels, at a cost linear in the pixels.

    Queries, keys and values are a 1 x 1 and a depthwise 3 x 3 convolution of the map; the logits of each head are the
    cosines between its channels of the queries and those of the keys, times a learned temperature.

    Args:
        dims: channels, a multiple of ``num_heads``.
        num_heads: heads.
        bias: of the convolutions.

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
        for band in row_bands(x, elements=self.qkv.out_channels * x.shape[-1], halo=1):
            qkv = self.qkv_dwconv(self.qkv(norm(band.take(x))))
            q, k, v = band.crop(qkv).permute(0, 2, 3, 1).chunk(3, dim=-1)
            values.append(v)
            # Sums over millions of pixels: in float32, and scaled afterwards instead of two large maps before.
            with torch.autocast(x.device.type, enabled=False):
                q, k = (part.flatten(1, 2).to(torch.promote_types(part.dtype, torch.float32)) for part in (q, k))
                products.append(torch.einsum(
                    'b p n c, b p n d -> b n c d', *(part.unflatten(-1, (self.num_heads, -1)) for part in (q, k))))
                squares.append(torch.stack([q.square().sum(1), k.square().sum(1)]))
        norms = torch.stack(squares).sum(0).sqrt().clamp_min(1e-12)
        of_q, of_k = rearrange(norms, 's b (n c) -> s b n c', n=self.num_heads)
        return torch.stack(products).sum(0) / (of_q[..., None] * of_k[..., None, :]), torch.cat(values, dim=1)

    def forward(self, x: Tensor, norm: nn.Module | None = None) -> Tensor:
        """``norm``: applied to ``x`` first, in place of a map of its own."""
        cosines, values = self.cosines(fast_layout(x), norm or nn.Identity())
        attention = (cosines * self.temperature).softmax(-1)
        # Attending and projecting are both linear in the channels: one matrix (B, dims, dims) for both.
        heads = self.proj.weight.flatten(1).unflatten(-1, (self.num_heads, -1))
        matrix = torch.einsum('o n c, b n c d -> b o n d', heads, attention.to(heads.dtype)).flatten(2)
        y = values.flatten(1, 2) @ matrix.to(values.dtype).mT
        y = y if self.proj.bias is None else y + self.proj.bias.to(y.dtype)
        return rearrange(y, 'b (h w) c -> b c h w', h=x.shape[-2])


class GDFN(BaseModule):
    """Gated-Dconv feed-forward network: GELU of one half of the hidden channels times the other half.

    Args:
        dims: channels.
        ffn_expansion_factor: hidden channels of each half over ``dims``, rounded down.
        bias: of the convolutions.

    Shape: (B, dims, H, W), any size, to the same.
    """

    def __init__(self, dims: int, ffn_expansion_factor: float = 2.66, bias: bool = False):
        super().__init__()
        hidden = int(dims * ffn_expansion_factor)
        self.project_in = nn.Conv2d(dims, 2 * hidden, 1, bias=bias)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=bias)
        self.proj = nn.Conv2d(hidden, dims, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(fast_layout(x))).chunk(2, dim=1)
        return self.proj(F.gelu(gate) * value)


@MODELS.register_module()
class RestormerBlock(BaseModule):
    """x + MDTA(norm(x)), then x + GDFN(norm(x)).

    Args:
        dims: channels.
        num_heads: heads of the transposed attention.
        ffn_expansion_factor: width of the feed-forward's gated halves over ``dims``.
        bias: of the convolutions.
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
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def feed_forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.ffn(self.norm2(x)))

    def forward(self, x: Tensor) -> Tensor:
        x = fast_layout(x)
        x = x + self.drop_path(self.attn(x, self.norm1))
        if self.training:  # a sample's path is dropped as a whole
            return self.feed_forward(x)
        return in_bands(self.feed_forward, x, elements=self.ffn.project_in.out_channels * x.shape[-1], halo=1)
