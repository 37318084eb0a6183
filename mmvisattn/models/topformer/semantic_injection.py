"""TopFormer's semantic injection module (SIM; CVPR 2022, https://arxiv.org/abs/2204.05525).

Difference from the released code: the module is a neck, not a part of the backbone, and can extract the semantics itself.
"""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmvisattn.layers import ConvNormAct, to_contiguous, to_fast_format
from mmvisattn.models.backbone import InitCfg, check_maps
from mmvisattn.registry import MODELS

from .semantics_extractor import SemanticsExtractor, pyramid_pooling

FUSIONS = ('gated_sum', 'gated_sum_relu', 'sum', 'product')


def resize_bilinear(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear interpolation of a map (B, C, h, w) to (B, C, *size), without ``align_corners``.

    On a CPU, torch's ``interpolate`` converts a contiguous map to channels last and back. Two small matrix products, of rows
    and of columns, take a tenth of the time.
    """
    if not x.is_cpu or torch.compiler.is_compiling():
        return F.interpolate(x, size, mode='bilinear', align_corners=False)
    rows, cols = (F.interpolate(torch.eye(old, dtype=x.dtype)[None, None], (new, old), mode='bilinear')[0, 0]
                  for old, new in zip(x.shape[-2:], size))
    return rows @ (x @ cols.T)


class Injection(BaseModule):
    """One level: fuse a local map (B, C, H, W) with its slice of the semantics (B, C, h, w) into (B, C', H, W)."""

    def __init__(self, in_channels: int, out_channels: int, fusion: str, norm_cfg: dict):
        super().__init__()

        with_relu = fusion == 'gated_sum_relu'

        def embedding(norm_cfg: dict | None, act: str | None) -> nn.Module:
            return ConvNormAct(in_channels, out_channels, 1, norm_cfg, act)

        act = 'ReLU' if with_relu else None
        self.local_embedding = embedding(norm_cfg, act)
        self.global_embedding = embedding(norm_cfg, act) if fusion != 'product' else None
        self.global_gate = embedding(None if with_relu else norm_cfg, None) if fusion != 'sum' else None

    @staticmethod
    def gate(x: Tensor) -> Tensor:
        """relu6(x + 3) / 6. torch's ``hardsigmoid`` has an error of 3e-8 in its gradient: 1 / 6 in float32 (torch 2.13)."""
        return F.relu6(x + 3) / 6

    def forward(self, x_local: Tensor, x_global: Tensor) -> Tensor:
        size = x_local.shape[-2:]
        x = self.local_embedding(x_local)
        gate = None if self.global_gate is None else resize_bilinear(self.gate(self.global_gate(x_global)), size)
        if self.global_embedding is None:
            return x * gate
        bias = resize_bilinear(self.global_embedding(x_global), size)
        if gate is None:
            return x + bias
        # pnnx (20261020) writes an addcmul that ncnn does not know.
        return x * gate + bias if torch.jit.is_tracing() else torch.addcmul(bias, x, gate)


@MODELS.register_module()
class SemanticInjection(BaseModule):
    """Semantic injection module (SIM): injects a global semantics map into the levels of a pyramid.

    Args:
        in_channels: channels of the pyramid's levels; the semantics map has the sum of them.
        out_channels: channels of every returned map.
        injected_levels: the levels that are injected and returned, in this order.
        fusion: 'gated_sum', local * hsigmoid(gate) + global (the paper's); 'gated_sum_relu', the same with conv-BN-ReLU
            embeddings and a gate without norm (the released 'muli_sum_cbr'); 'sum', local + global; 'product',
            local * hsigmoid(gate).
        semantics_extractor: None: the last input is the semantics map, as TopFormer returns it. For a backbone that returns
            a pyramid only: arguments of ``SemanticsExtractor`` (at least ``num_heads``), which then computes the semantics
            map from the pooled pyramid.
        norm_cfg: the norm after the convolutions.
        init_cfg: as in mmengine.

    Shape:
        Maps (B, in_channels[i], H_i, W_i), then the semantics map (B, sum of in_channels, h, w) if no extractor is built,
        to a tuple of (B, out_channels, H_i, W_i), one per entry of ``injected_levels``.

    Raises:
        ValueError: if ``fusion`` or ``injected_levels`` is not one of the above, or the number of inputs is wrong.
    """

    takes_semantics = True  # the last input may be the semantics map, which in_channels does not include

    def __init__(self,
                 in_channels: Sequence[int] = (16, 32, 64, 96),
                 out_channels: int = 128,
                 injected_levels: Sequence[int] = (1, 2, 3),
                 fusion: str = 'gated_sum',
                 semantics_extractor: dict | None = None,
                 norm_cfg: dict | None = None,
                 init_cfg: InitCfg = None):
        super().__init__(init_cfg)
        if fusion not in FUSIONS:
            raise ValueError(f"fusion='{fusion}' is not one of {FUSIONS}")
        if not all(0 <= level < len(in_channels) for level in injected_levels):
            raise ValueError(f'injected_levels={tuple(injected_levels)} must lie in 0 to {len(in_channels) - 1}, '
                             'the levels of in_channels')
        norm_cfg = norm_cfg or dict(type='BN')
        self.in_channels = list(in_channels)
        self.injected_levels = tuple(injected_levels)
        self.extractor = None if semantics_extractor is None else SemanticsExtractor(
            sum(in_channels), **dict(dict(norm_cfg=norm_cfg), **semantics_extractor))
        self.injections = ModuleList(
            Injection(in_channels[level], out_channels, fusion, norm_cfg) for level in injected_levels)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        check_maps('SemanticInjection', inputs)
        num_levels = len(self.in_channels)
        if len(inputs) != num_levels + (self.extractor is None):
            raise ValueError(
                f'SemanticInjection got {len(inputs)} maps for {num_levels} levels: it takes one per level'
                + (', and the semantics map last; for a backbone without that map, set semantics_extractor=dict(num_heads=…)'
                   if self.extractor is None else ' (it extracts the semantics itself)'))
        # The maps stay as they come and leave, contiguous: converting them to the format that convolves fast and back would
        # take longer than the rest of the injection.
        levels = inputs[:num_levels]
        semantics = inputs[-1] if self.extractor is None else self.extractor(
            pyramid_pooling([to_fast_format(x) for x in levels]))
        slices = semantics.split(self.in_channels, dim=1)
        return to_contiguous(
            injection(levels[level], slices[level]) for level, injection in zip(self.injected_levels, self.injections))
