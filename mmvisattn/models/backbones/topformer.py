"""TopFormer: Token Pyramid Transformer for Mobile Semantic Segmentation (CVPR 2022, https://arxiv.org/abs/2204.05525).

Deliberate differences from the released code: the semantic injection is a neck of its own (``SemanticInjection``), so that
the backbone serves any head; it builds without a checkpoint; all norms start alike whatever their type (there, SyncBN and
BN start differently). As there and unlike in the paper, attention is not scaled by default.
"""
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule, ModuleList, Sequential
from torch import Tensor, nn

from mmvisattn.layers import ConvNormAct, SemanticsExtractor, fast_layout, pyramid_pooling, run, standard_layout
from mmvisattn.registry import MODELS

from .base import Backbone, arch_settings

# Rows of the token pyramid are (kernel size, expansion, channels, stride), as in the paper's table of architectures.
Row = tuple[int, int, int, int]


def pyramid(first: int, widths: Sequence[int], last_level_depth: int) -> tuple[tuple[Row, ...], ...]:
    """The rows of the four levels of a published variant, of ``widths`` channels."""
    w1, w2, w3, w4 = widths
    return (
        ((3, 1, first, 1), (3, 4, w1, 2), (3, 3, w1, 1)),
        ((5, 3, w2, 2), (5, 3, w2, 1)),
        ((3, 3, w3, 2), (3, 3, w3, 1)),
        ((5, 6, w4, 2), (5, 6, w4, 1), (3, 6, w4, 1))[:last_level_depth],
    )


class InvertedResidual(BaseModule):
    """MobileNetV2's block: 1 x 1 expansion, depthwise k x k, 1 x 1 projection; (B, C, H, W) to (B, C', H/s, W/s)."""

    def __init__(self, in_channels: int, row: Row, norm_cfg: dict):
        super().__init__()
        kernel_size, expansion, out_channels, stride = row
        hidden = in_channels * expansion
        self.with_residual = stride == 1 and in_channels == out_channels
        layers = [] if expansion == 1 else [ConvNormAct(in_channels, hidden, 1, norm_cfg, 'ReLU')]
        layers += [
            ConvNormAct(
                hidden, hidden, kernel_size, norm_cfg, 'ReLU', stride=stride, padding=kernel_size // 2, groups=hidden),
            ConvNormAct(hidden, out_channels, 1, norm_cfg),
        ]
        self.layers = Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.with_residual else self.layers(x)


@MODELS.register_module()
class TopFormer(Backbone):
    """Token pyramid and semantics extractor.

    Args:
        arch: 'tiny', 'small', 'base', or a dict with the keys ``levels`` (four sequences of rows (kernel size, expansion,
            channels, stride), one a pyramid level), ``num_heads`` and ``num_blocks`` (of the semantics extractor).
        in_channels: channels of the image.
        out_indices: which of the five maps to return: the pyramid's levels 0 to 3, and 4, the semantics map.
        frozen_stages: -1: none, 0: the stem, 1 to 4: the pyramid's levels too, 5: the semantics extractor too.
        norm_cfg: the norm after every convolution.
        scale_attention: scale the logits by ``key_dim ** -0.5``; off in all published weights.
        drop_path_rate: stochastic depth of the last transformer block, rising linearly from 0.
        with_cp: recompute each block's activations in the backward pass.
        init_cfg: as in mmengine; ``type='mmvisattn.OfficialPretrained'`` loads the authors' published weights.

    Shape:
        (B, in_channels, H, W), any size from 1 x 1, to a tuple of maps (B, C_i, ceil(H / s_i), ceil(W / s_i)) at strides
        4, 8, 16, 32, and the semantics map (B, sum of C_i, ceil(H / 64), ceil(W / 64)).

    Raises:
        ValueError: if ``arch``, ``out_indices`` or ``frozen_stages`` is not one of the above.
    """

    archs: dict[str, dict[str, Any]] = {
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
                 norm_cfg: dict | None = None,
                 scale_attention: bool = False,
                 drop_path_rate: float = 0.1,
                 with_cp: bool = False,
                 init_cfg: dict | list[dict] | None = None):
        settings = arch_settings(arch, self.archs)
        levels = settings['levels']
        super().__init__(len(levels) + 1, out_indices, frozen_stages, len(levels) + 1, init_cfg or [
            dict(type='Kaiming', layer='Conv2d'), dict(type='Constant', layer='_BatchNorm', val=1)])
        norm_cfg = norm_cfg or dict(type='BN')
        self.with_cp = with_cp
        self.stem = ConvNormAct(in_channels, self.stem_channels, 3, norm_cfg, 'ReLU', stride=2, padding=1)
        self.levels = ModuleList()
        channels = self.stem_channels
        for rows in levels:
            self.levels.append(ModuleList())
            for row in rows:
                self.levels[-1].append(InvertedResidual(channels, row, norm_cfg))
                channels = row[2]
        self.out_channels = [rows[-1][2] for rows in levels]
        self.out_channels.append(sum(self.out_channels))
        self.extractor = SemanticsExtractor(
            self.out_channels[-1],
            settings['num_heads'],
            settings['num_blocks'],
            drop_path_rate=drop_path_rate,
            scale_attention=scale_attention,
            norm_cfg=norm_cfg,
            with_cp=with_cp)
        self.freeze()

    def stage_modules(self) -> list[list[nn.Module]]:
        return [[self.stem], *([level] for level in self.levels), [self.extractor]]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(fast_layout(x))
        outputs = []
        for level in self.levels:
            for block in level:
                x = run(block, x, self.with_cp)
            outputs.append(x)
        outputs.append(self.extractor(pyramid_pooling(outputs)))
        return standard_layout(outputs[i] for i in self.out_indices)
