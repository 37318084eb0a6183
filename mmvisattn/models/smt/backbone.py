"""SMT: Scale-Aware Modulation Meet Transformer (ICCV 2023, https://arxiv.org/abs/2307.08579).

Deliberate differences from the released dense-prediction code: stochastic depth as in the paper (the released code uses
dropout); any stem width (released: 64 channels only); any input size; modules do not store maps.
"""
from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from einops import rearrange
from mmcv.cnn.bricks import LayerScale
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmvisattn.layers import (
    BlockSequence,
    ConvNormAct,
    apply_channels_last,
    drop_path_rates,
    has_hooks,
    in_chunks,
    stochastic_depth,
    to_contiguous,
    to_fast_format,
)
from mmvisattn.models.backbone import Backbone, InitCfg, arch_settings, check_images
from mmvisattn.registry import MODELS

from .official_names import OFFICIAL_NAMES
from .scale_aware_modulation import ScaleAwareModulation

MODULATION, ATTENTION = 'M', 'A'


class Stem(BaseModule):
    """Conv k x k stride 2, BN, ReLU, conv 2 x 2 stride 2, LayerNorm; (B, in_channels, H, W) to (B, dims, H / 4, W / 4).

    A side H of the input becomes max(1, ceil(H / 2) // 2), as in the released code.
    """

    def __init__(self, in_channels: int, dims: int, kernel_size: int, norm_cfg: dict):
        super().__init__()
        self.conv = ConvNormAct(in_channels, dims, kernel_size, norm_cfg, 'ReLU', stride=2, padding=kernel_size // 2)
        self.proj = nn.Conv2d(dims, dims, 2, stride=2)
        self.norm = nn.LayerNorm(dims)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(to_fast_format(x))
        height, width = x.shape[-2:]
        if min(height, width) == 1:
            x = F.pad(x, (0, int(width == 1), 0, int(height == 1)))
        return apply_channels_last(self.norm, self.proj(x))


class Downsampling(BaseModule):
    """Conv 3 x 3 stride 2, LayerNorm; (B, C, H, W) to (B, dims, ceil(H / 2), ceil(W / 2))."""

    def __init__(self, in_channels: int, dims: int):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dims, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(dims)

    def forward(self, x: Tensor) -> Tensor:
        return apply_channels_last(self.norm, self.proj(x))


class GlobalAttention(BaseModule):
    """Multi-head self-attention over the whole map, and a depthwise 3 x 3 convolution of the values; (B, C, H, W) to the
    same."""

    def __init__(self, dims: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dims, 3 * dims)
        self.dw_conv = nn.Conv2d(dims, dims, 3, padding=1, groups=dims)
        self.proj = nn.Linear(dims, dims)

    def heads(self, maps: Tensor) -> Tensor:
        """The map of ``qkv`` (B, 3 C, H, W) to queries, keys and values: (3, B, heads, H W, C / heads)."""
        return rearrange(maps, 'b (s n d) h w -> s b n (h w) d', s=3, n=self.num_heads)

    def forward(self, x: Tensor) -> Tensor:
        maps = apply_channels_last(self.qkv, x)
        q, k, v = self.heads(maps)
        attended = rearrange(F.scaled_dot_product_attention(q, k, v), 'b n (h w) d -> b (n d) h w', h=x.shape[-2])
        return apply_channels_last(self.proj, attended + self.dw_conv(maps.chunk(3, dim=1)[2]))


class ConvFeedForward(BaseModule):
    """Linear, h = GELU(h + depthwise 3 x 3 (h)), Linear; (B, C, H, W) to the same."""

    def __init__(self, dims: int, hidden_dims: int):
        super().__init__()
        self.fc1 = nn.Linear(dims, hidden_dims)
        self.dwconv = nn.Conv2d(hidden_dims, hidden_dims, 3, padding=1, groups=hidden_dims)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dims, dims)

    def mix(self, hidden: Tensor) -> Tensor:
        """hidden + depthwise 3 x 3 (hidden)."""
        if has_hooks(self.dwconv):
            return hidden + self.dwconv(hidden)
        # hidden + dwconv(hidden) is one convolution with 1 added to the middle of each kernel.
        weight = self.dwconv.weight
        kernel = weight + F.pad(weight.new_ones(1, 1, 1, 1), (1, 1, 1, 1))
        return F.conv2d(hidden, kernel, self.dwconv.bias, padding=1, groups=len(kernel))

    def forward(self, x: Tensor) -> Tensor:
        return apply_channels_last(self.fc2, self.act(self.mix(apply_channels_last(self.fc1, x))))


class SMTBlock(BaseModule):
    """x + mixer(LayerNorm(x)), then x + MLP(LayerNorm(x)).

    Args:
        mixer: maps (B, dims, H, W) to the same: modulation or attention.
        dims: channels.
        mlp_ratio: hidden width of the MLP as a multiple of ``dims``.
        drop_path: stochastic depth.
        layer_scale_init_value: see ``SMT``.

    Shape: (B, dims, H, W) to the same.
    """

    def __init__(self, mixer: nn.Module, dims: int, mlp_ratio: float, drop_path: float, layer_scale_init_value: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(dims, eps=1e-6)
        self.mixer = mixer
        self.norm2 = nn.LayerNorm(dims, eps=1e-6)
        self.mlp = ConvFeedForward(dims, int(dims * mlp_ratio))
        self.layer_scale1, self.layer_scale2 = (
            LayerScale(dims, data_format='channels_first', scale=layer_scale_init_value)
            if layer_scale_init_value > 0 else nn.Identity() for _ in range(2))
        self.drop_path = stochastic_depth(drop_path)

    def feed_forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.layer_scale2(self.mlp(apply_channels_last(self.norm2, x))))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.layer_scale1(self.mixer(apply_channels_last(self.norm1, x))))
        if self.training:  # DropPath acts on whole samples, so no chunks
            return self.feed_forward(x)
        elements = x.shape[0] * self.mlp.fc1.out_features * x.shape[-1]  # per row
        return in_chunks(self.feed_forward, x, within=self, dim=2, elements_each=elements, halo=1)


class Stage(BaseModule):
    """An embedding, blocks, and a LayerNorm, whose result is the stage's output; (B, C, H, W) to (B, C', H', W')."""

    def __init__(self, embedding: nn.Module, blocks: Sequence[nn.Module], dims: int, with_cp: bool):
        super().__init__()
        self.embedding = embedding
        self.blocks = BlockSequence(blocks, with_cp)
        self.norm = nn.LayerNorm(dims, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return apply_channels_last(self.norm, self.blocks(self.embedding(x)))


@MODELS.register_module()
class SMT(Backbone):
    """Scale-Aware Modulation Transformer (SMT), the evolutionary hybrid network (EHN).

    Args:
        arch: 'tiny', 'small', 'base', 'large', or a dict with the keys ``embed_dims`` (channels of the first stage),
            ``depths``, ``mlp_ratios``, ``stem_kernel`` (size of the first convolution's kernel), ``pattern``,
            ``modulation_heads`` and ``attention_heads`` (one number per stage each), and optionally
            ``layer_scale_init_value``.
        in_channels: channels of the image.
        pattern: one string per stage of M (scale-aware modulation) and A (attention over the whole map), repeated over the
            stage's blocks; 'MA' alternates modulation and attention. None: the architecture's.
        norm_cfg: the norm of the stem's first convolution and within the modulation.
        layer_scale_init_value: initial value of the learned weights per channel that scale every residual branch; 0: no such
            weights. None: the architecture's, which is 1e-4 for 'large' and 0 for the others, as published.
        drop_path_rate: stochastic depth of the last block, rising linearly from 0.
        out_indices: the stages whose maps to return.
        frozen_stages: -1: none, 0: the stem, 1 to 4: the stages too.
        with_cp: recompute each block's activations in the backward pass.
        init_cfg: as in mmengine; ``type='mmvisattn.OfficialPretrained'`` loads the authors' published weights.

    Shape:
        (B, in_channels, H, W), any size from 1 x 1, to a tuple of (B, embed_dims * 2**i, H_i, W_i) at strides 4, 8, 16,
        32: H_0 = max(1, ceil(H / 2) // 2), and each later side is half of the one before, rounded up.

    Raises:
        ValueError: if an argument is not one of the above.
    """

    official_names = OFFICIAL_NAMES
    default_init_cfg = [
        dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
        dict(type='Kaiming', layer='Conv2d', mode='fan_in'),  # fan_in of a depthwise kernel is k * k
        dict(type='Constant', layer=['LayerNorm', '_BatchNorm'], val=1.0, bias=0.0)]
    _common = dict(pattern=('M', 'M', 'MA', 'A'), modulation_heads=(4, 4, 4, 4), attention_heads=(2, 4, 8, 16))
    archs = {
        'tiny': dict(embed_dims=64, depths=(2, 2, 8, 1), mlp_ratios=(4, 4, 4, 2), stem_kernel=3, **_common),
        'small': dict(embed_dims=64, depths=(3, 4, 18, 2), mlp_ratios=(4, 4, 4, 2), stem_kernel=3, **_common),
        'base': dict(embed_dims=64, depths=(4, 6, 28, 2), mlp_ratios=(8, 6, 4, 2), stem_kernel=7, **_common),
        'large': dict(embed_dims=96, depths=(4, 6, 28, 4), mlp_ratios=(8, 6, 4, 2), stem_kernel=7,
                      layer_scale_init_value=1e-4, **_common),
    }

    def __init__(self,
                 arch: str | Mapping = 'small',
                 in_channels: int = 3,
                 pattern: Sequence[str] | None = None,
                 norm_cfg: dict | None = None,
                 layer_scale_init_value: float | None = None,
                 drop_path_rate: float = 0.1,
                 out_indices: Sequence[int] = (0, 1, 2, 3),
                 frozen_stages: int = -1,
                 with_cp: bool = False,
                 init_cfg: InitCfg = None):
        settings = arch_settings(arch, self.archs, layer_scale_init_value=0.0)
        depths = settings['depths']
        if layer_scale_init_value is None:
            layer_scale_init_value = settings['layer_scale_init_value']
        super().__init__([settings['embed_dims'] * 2**i for i in range(len(depths))], out_indices, frozen_stages, init_cfg)
        pattern = settings['pattern'] if pattern is None else pattern
        if len(pattern) != len(depths) or not all(kinds and set(kinds) <= {MODULATION, ATTENTION} for kinds in pattern):
            raise ValueError(f'pattern={pattern} must have one non-empty string of {MODULATION} and {ATTENTION} for each of '
                             f'the {len(depths)} stages')
        norm_cfg = norm_cfg or dict(type='BN')
        rates = drop_path_rates(drop_path_rate, depths)
        self.stages = ModuleList()
        for i, dims in enumerate(self.out_channels[:self.num_built]):
            mixers = [
                ScaleAwareModulation(dims, settings['modulation_heads'][i], norm_cfg=norm_cfg)
                if pattern[i][j % len(pattern[i])] == MODULATION else GlobalAttention(dims, settings['attention_heads'][i])
                for j in range(depths[i])]
            blocks = [SMTBlock(mixer, dims, settings['mlp_ratios'][i], rate, layer_scale_init_value)
                      for mixer, rate in zip(mixers, rates[i])]
            embedding = Downsampling(dims // 2, dims) if i else Stem(in_channels, dims, settings['stem_kernel'], norm_cfg)
            self.stages.append(Stage(embedding, blocks, dims, with_cp))
        self.freeze()

    def stage_modules(self) -> list[list[nn.Module]]:
        return [[self.stages[0].embedding], *([stage] for stage in self.stages)]

    def output_norms(self) -> dict[int, nn.Module]:
        return {i: stage.norm for i, stage in enumerate(self.stages)}

    def unbuilt_names(self) -> tuple[str, ...]:
        return tuple(f'stages.{i}.' for i in range(self.num_built, len(self.out_channels)))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        check_images(x)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return to_contiguous(outputs[i] for i in self.out_indices)
