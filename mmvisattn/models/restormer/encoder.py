"""Restormer's encoder (CVPR 2022, https://arxiv.org/abs/2111.09881), alone as a backbone and as a part of ``Restormer``.

As a backbone for dense prediction it is experimental: no paper publishes figures.
"""
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmvisattn.layers import BlockSequence, drop_path_rates, to_contiguous, to_fast_format
from mmvisattn.models.backbone import Backbone, InitCfg, arch_settings, check_images
from mmvisattn.registry import MODELS

from .block import RestormerBlock
from .official_names import ENCODER_NAMES


def _padded_positions(side: int, multiple: int, mode: str, device: torch.device) -> Tensor:
    """The rows that a padded map consists of: ``side`` rows, then copies of them up to the multiple."""
    position = torch.arange((side + multiple - 1) // multiple * multiple, device=device)
    last = side - 1
    return position.clamp(max=last) if mode == 'replicate' else last - (position - last).abs()


def pad_to_multiple(x: Tensor, multiple: int, mode: str = 'reflect') -> Tensor:
    """Pad a map (B, C, H, W) at the bottom and right to a multiple: by 'replicate', or by 'reflect', which replicates, too,
    where the map is too small to reflect."""
    height, width = x.shape[-2:]
    if isinstance(height, torch.SymInt) or isinstance(width, torch.SymInt):
        # torch.export for any size: no decision may depend on it. Exported models take no map that is too small to reflect.
        rows, columns = (_padded_positions(side, multiple, mode, x.device) for side in (height, width))
        return x.index_select(2, rows).index_select(3, columns)
    down, right = -height % multiple, -width % multiple
    if not down and not right:
        return x
    return F.pad(x, (0, right, 0, down), mode=mode if down < height and right < width else 'replicate')


def crop(x: Tensor, size: Sequence[int]) -> Tensor:
    """The upper left part of a map (B, C, H, W)."""
    height, width = size
    if isinstance(height, torch.SymInt) or isinstance(width, torch.SymInt):
        # torch.export for any size: a slice would record whether it cuts something off.
        return x.index_select(2, torch.arange(height, device=x.device)).index_select(3, torch.arange(width, device=x.device))
    return x[:, :, :height, :width]


class Downsampling(BaseModule):
    """Conv 3 x 3 to half the channels, pixel unshuffle 2; (B, C, H, W) to (B, 2 C, ceil(H / 2), ceil(W / 2)).

    Odd sides are padded with a copy of the last row or column.
    """

    def __init__(self, dims: int):
        super().__init__()
        self.conv = nn.Conv2d(dims, dims // 2, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = pad_to_multiple(x, 2, 'replicate')
        x = self.conv(x)
        if x.shape[0] == 0:  # F.pixel_unshuffle leaves the shape of an empty batch unchanged (torch 2.13)
            return to_fast_format(rearrange(x, 'b c (h i) (w j) -> b (c i j) h w', i=2, j=2))
        return to_fast_format(F.pixel_unshuffle(x, 2))


@MODELS.register_module()
class RestormerEncoder(Backbone):
    """Restormer's encoder: three levels and the latent level.

    Args:
        arch: 'small', 'base' (the paper's), or a dict with the keys ``embed_dims`` (channels of the first level), ``depths``
            and ``num_heads``.
        in_channels: channels of the image.
        embedding_stride: stride of the first convolution. 1: as in the paper, for restoration. 4: for heads of dense
            prediction, which expect strides 4 to 32. Both take the same weights.
        ffn_expansion_factor: width of each half of the gated feed-forwards as a multiple of the channels.
        bias: whether the blocks' convolutions have a bias.
        norm: 'with_bias' or 'bias_free'.
        drop_path_rate: stochastic depth of the last block, rising linearly from 0.
        out_indices: the levels whose maps to return.
        frozen_stages: -1: none, 0: the first convolution, 1 to 4: the levels too.
        with_cp: recompute each block's activations in the backward pass.
        init_cfg: as in mmengine; ``type='mmvisattn.OfficialPretrained'`` loads the encoder of the authors'
            published weights.

    Shape:
        (B, in_channels, H, W), any size from 1 x 1, to a tuple of (B, embed_dims * 2**i, ceil(H / s), ceil(W / s)) at
        strides s = 1, 2, 4, 8 times ``embedding_stride``.

    Raises:
        ValueError: if an argument is not one of the above.
    """

    official_names = ENCODER_NAMES
    archs = {
        'small': dict(embed_dims=24, depths=(2, 2, 2, 3), num_heads=(1, 2, 4, 8)),
        'base': dict(embed_dims=48, depths=(4, 6, 6, 8), num_heads=(1, 2, 4, 8)),
    }

    def __init__(self,
                 arch: str | Mapping = 'base',
                 in_channels: int = 3,
                 embedding_stride: int = 1,
                 ffn_expansion_factor: float = 2.66,
                 bias: bool = False,
                 norm: str = 'with_bias',
                 drop_path_rate: float = 0.0,
                 out_indices: Sequence[int] = (0, 1, 2, 3),
                 frozen_stages: int = -1,
                 with_cp: bool = False,
                 init_cfg: InitCfg = None):
        settings = arch_settings(arch, self.archs)
        dims, depths = settings['embed_dims'], settings['depths']
        super().__init__([dims * 2**i for i in range(len(depths))], out_indices, frozen_stages, init_cfg)
        self.embedding = nn.Conv2d(in_channels, dims, 3, embedding_stride, padding=1, bias=False)
        rates = drop_path_rates(drop_path_rate, depths)
        built = self.out_channels[:self.num_built]
        self.levels = ModuleList(
            BlockSequence([
                RestormerBlock(width, heads, ffn_expansion_factor, bias, norm, rate) for rate in rates[i]], with_cp)
            for i, (width, heads) in enumerate(zip(built, settings['num_heads'])))
        self.downsamplings = ModuleList(Downsampling(width) for width in built[:-1])
        self.freeze()

    def stage_modules(self) -> list[list[nn.Module]]:
        inner = [[level, *self.downsamplings[i - 1:i]] if i else [level] for i, level in enumerate(self.levels)]
        return [[self.embedding], *inner]

    def unbuilt_names(self) -> tuple[str, ...]:
        unbuilt = range(self.num_built, len(self.out_channels))
        return (*(f'levels.{i}.' for i in unbuilt), *(f'downsamplings.{i - 1}.' for i in unbuilt))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        check_images(x)
        x = self.embedding(to_fast_format(x))
        outputs = []
        for i, level in enumerate(self.levels):
            x = level(self.downsamplings[i - 1](x) if i else x)
            outputs.append(x)
        return to_contiguous(outputs[i] for i in self.out_indices)
