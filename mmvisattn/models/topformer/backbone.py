"""TopFormer: Token Pyramid Transformer for Mobile Semantic Segmentation (CVPR 2022, https://arxiv.org/abs/2204.05525).

Deliberate differences from the released code: the semantic injection is a separate neck (``SemanticInjection``), so that
the backbone works with any head; the model builds without a checkpoint; SyncBN and BN are initialised the same way (the
released code treats them differently). As in the released code and unlike the paper, attention is not scaled by default.
"""
from collections.abc import Mapping, Sequence

from mmengine.model import ModuleList
from torch import Tensor, nn

from mmvisattn.layers import BlockSequence, ConvNormAct, to_contiguous, to_fast_format
from mmvisattn.models.backbone import Backbone, InitCfg, arch_settings, check_images
from mmvisattn.registry import MODELS

from .official_names import OFFICIAL_NAMES
from .semantics_extractor import SemanticsExtractor, pyramid_pooling
from .token_pyramid import InvertedResidual, pyramid


@MODELS.register_module()
class TopFormer(Backbone):
    """Token pyramid module (TPM) and scale-aware semantics extractor (SASE).

    Args:
        arch: 'tiny', 'small', 'base', or a dict with the keys ``levels`` (four sequences of rows (kernel size, expansion,
            channels, stride), one per pyramid level), ``num_heads`` and ``num_blocks`` (of the semantics extractor).
        in_channels: channels of the image.
        out_indices: which of the five maps to return: the pyramid's levels 0 to 3, and 4, the semantics map.
        frozen_stages: -1: none, 0: the stem, 1 to 4: the pyramid's levels too, 5: the semantics extractor too.
        semantics_stride: stride of the semantics map: 64, or 32 as in the ImageNet classifiers, whose images are small (the
            paper's section on pretraining).
        norm_cfg: the norm after the convolutions.
        scale_attention: scale the logits by ``key_dim ** -0.5``; off in all published weights.
        drop_path_rate: stochastic depth of the last transformer block, rising linearly from 0.
        with_cp: recompute each block's activations in the backward pass.
        init_cfg: as in mmengine; ``type='mmvisattn.OfficialPretrained'`` loads the authors' published weights.

    Shape:
        (B, in_channels, H, W), any size from 1 x 1, to a tuple of maps (B, C_i, ceil(H / s_i), ceil(W / s_i)) at strides
        4, 8, 16, 32, and the semantics map (B, sum of C_i, ceil(H / s), ceil(W / s)), s being ``semantics_stride``.

    Raises:
        ValueError: if ``arch``, ``out_indices``, ``frozen_stages`` or ``semantics_stride`` is not one of the above.
    """

    official_names = OFFICIAL_NAMES
    default_init_cfg = [dict(type='Kaiming', layer='Conv2d'), dict(type='Constant', layer='_BatchNorm', val=1)]
    archs = {
        'tiny': dict(levels=pyramid(16, (16, 32, 64, 96), 2), num_heads=4, num_blocks=4),
        'small': dict(levels=pyramid(16, (24, 48, 96, 128), 3), num_heads=6, num_blocks=4),
        'base': dict(levels=pyramid(16, (32, 64, 128, 160), 3), num_heads=8, num_blocks=4),
    }
    stem_channels = 16

    def __init__(self,
                 arch: str | Mapping = 'tiny',
                 in_channels: int = 3,
                 out_indices: Sequence[int] = (0, 1, 2, 3, 4),
                 frozen_stages: int = -1,
                 semantics_stride: int = 64,
                 norm_cfg: dict | None = None,
                 scale_attention: bool = False,
                 drop_path_rate: float = 0.1,
                 with_cp: bool = False,
                 init_cfg: InitCfg = None):
        settings = arch_settings(arch, self.archs)
        levels = settings['levels']
        widths = [rows[-1][2] for rows in levels]
        super().__init__([*widths, sum(widths)], out_indices, frozen_stages, init_cfg)
        if semantics_stride not in (32, 64):
            raise ValueError(f'semantics_stride={semantics_stride} is neither 32 nor 64')
        self.pooling_reduction = semantics_stride // 32
        norm_cfg = norm_cfg or dict(type='BN')
        self.stem = ConvNormAct(in_channels, self.stem_channels, 3, norm_cfg, 'ReLU', stride=2, padding=1)
        self.levels = ModuleList()
        channels = self.stem_channels
        for rows in levels[:self.num_built]:
            blocks = []
            for row in rows:
                blocks.append(InvertedResidual(channels, row, norm_cfg))
                channels = row[2]
            self.levels.append(BlockSequence(blocks, with_cp))
        self.extractor = SemanticsExtractor(
            self.out_channels[-1],
            settings['num_heads'],
            settings['num_blocks'],
            drop_path_rate=drop_path_rate,
            scale_attention=scale_attention,
            norm_cfg=norm_cfg,
            with_cp=with_cp) if self.num_built > len(levels) else None
        self.freeze()

    def stage_modules(self) -> list[list[nn.Module]]:
        return [[self.stem], *([level] for level in self.levels), *([[self.extractor]] if self.extractor else [])]

    def unbuilt_names(self) -> tuple[str, ...]:
        levels = range(len(self.levels), len(self.out_channels) - 1)
        return (*(f'levels.{i}.' for i in levels), *(() if self.extractor else ('extractor.',)))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        check_images(x)
        x = self.stem(to_fast_format(x))
        outputs = []
        for level in self.levels:
            x = level(x)
            outputs.append(x)
        if self.extractor is not None:
            outputs.append(self.extractor(pyramid_pooling(outputs, self.pooling_reduction)))
        return to_contiguous(outputs[i] for i in self.out_indices)
