"""Restormer: Efficient Transformer for High-Resolution Image Restoration (CVPR 2022, https://arxiv.org/abs/2111.09881).

Written from the paper's equations. Deliberate difference from the released code: any input size.
"""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmvisattn.layers import BlockSequence, to_fast_format
from mmvisattn.models.backbone import InitCfg, check_images
from mmvisattn.registry import MODELS

from .block import RestormerBlock
from .encoder import RestormerEncoder, crop, pad_to_multiple
from .official_names import OFFICIAL_NAMES


class Upsampling(BaseModule):
    """Conv 3 x 3 to twice the channels, pixel shuffle 2; (B, C, H, W) to (B, C / 2, 2 H, 2 W)."""

    def __init__(self, dims: int):
        super().__init__()
        self.conv = nn.Conv2d(dims, 2 * dims, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if x.shape[0] == 0:  # the gradient of F.pixel_shuffle has a wrong shape for an empty batch (torch 2.13)
            return to_fast_format(rearrange(x, 'b (c i j) h w -> b c (h i) (w j)', i=2, j=2))
        return to_fast_format(F.pixel_shuffle(x, 2))


class DecoderLevel(BaseModule):
    """Upsample, concatenate the skip connection, optionally reduce by a 1 x 1 convolution, then blocks."""

    def __init__(self, dims: int, reduces: bool, blocks: Sequence[nn.Module], with_cp: bool):
        super().__init__()
        self.upsampling = Upsampling(2 * dims)
        self.reduction = nn.Conv2d(2 * dims, dims, 1, bias=False) if reduces else nn.Identity()
        self.blocks = BlockSequence(blocks, with_cp)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.blocks(self.reduction(torch.cat([self.upsampling(x), skip], dim=1)))


@MODELS.register_module()
class Restormer(BaseModule):
    """Image restoration by transposed attention in a U-shaped network.

    Args:
        in_channels: channels of the degraded image: 3 for colour, 1 for gray, 6 for the two views of a dual-pixel sensor.
        out_channels: channels of the restored image.
        embed_dims: channels of the first level; they double with each level.
        depths: blocks of the four encoder levels; the decoder mirrors the first three.
        num_refinement_blocks: blocks after the decoder, at full size.
        num_heads: heads of each level.
        ffn_expansion_factor: width of each half of the gated feed-forwards as a multiple of the channels.
        bias: whether the blocks' convolutions have a bias.
        norm: 'with_bias', or 'bias_free' as in the paper's denoising models.
        dual_pixel: replace the global residual by a 1 x 1 convolution of the first feature map, added before the output
            convolution.
        with_cp: recompute each block's activations in the backward pass.
        init_cfg: as in mmengine.

    Shape:
        (B, in_channels, H, W), any size from 1 x 1, values from 0 to 1, to (B, out_channels, H, W). Sides are padded to
        multiples of 8, see ``pad_to_multiple``.

    Raises:
        ValueError: if the channels of input and output differ and ``dual_pixel`` is off, or lengths do not match.
    """

    official_names = OFFICIAL_NAMES

    def __init__(self,
                 in_channels: int = 3,
                 out_channels: int = 3,
                 embed_dims: int = 48,
                 depths: Sequence[int] = (4, 6, 6, 8),
                 num_refinement_blocks: int = 4,
                 num_heads: Sequence[int] = (1, 2, 4, 8),
                 ffn_expansion_factor: float = 2.66,
                 bias: bool = False,
                 norm: str = 'with_bias',
                 dual_pixel: bool = False,
                 with_cp: bool = False,
                 init_cfg: InitCfg = None):
        super().__init__(init_cfg)
        if in_channels != out_channels and not dual_pixel:
            raise ValueError(f'in_channels={in_channels} and out_channels={out_channels} must be equal, because the input '
                             'is added to the output, unless dual_pixel=True')
        if len(depths) != len(num_heads):
            raise ValueError(f'depths={tuple(depths)} and num_heads={tuple(num_heads)} must have one number per level each')
        self.in_channels = in_channels
        self.encoder = RestormerEncoder(
            dict(embed_dims=embed_dims, depths=depths, num_heads=num_heads), in_channels,
            ffn_expansion_factor=ffn_expansion_factor, bias=bias, norm=norm, with_cp=with_cp)
        self.stride = 2**(len(depths) - 1)

        def blocks(dims: int, heads: int, depth: int) -> list[RestormerBlock]:
            return [RestormerBlock(dims, heads, ffn_expansion_factor, bias, norm) for _ in range(depth)]

        # From the deepest level up. The first level does not reduce the channels.
        self.decoder = ModuleList(
            DecoderLevel(embed_dims * 2**i, i > 0, blocks(embed_dims * 2**max(i, 1), num_heads[i], depths[i]), with_cp)
            for i in reversed(range(len(depths) - 1)))
        self.refinement = BlockSequence(blocks(2 * embed_dims, num_heads[0], num_refinement_blocks), with_cp)
        self.skip = nn.Conv2d(embed_dims, 2 * embed_dims, 1, bias=False) if dual_pixel else None
        self.output = nn.Conv2d(2 * embed_dims, out_channels, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        check_images(image)
        if image.shape[1] != self.in_channels:
            raise ValueError(f'the image has {image.shape[1]} channels, but the model has in_channels={self.in_channels}')
        x = to_fast_format(pad_to_multiple(image, self.stride))
        padded = x
        *skips, x = self.encoder(x)
        for level, skip in zip(self.decoder, reversed(skips)):
            x = level(x, skip)
        x = self.refinement(x)
        if self.skip is not None:
            x = x + self.skip(self.encoder.embedding(padded))
        x = self.output(x)
        x = x + padded if self.skip is None else x
        return crop(x, image.shape[-2:])
