"""TopFormer's segmentation head (CVPR 2022, https://arxiv.org/abs/2204.05525).

Difference from the released code: the head does not change its inputs in place.
"""
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor

from mmvisattn.layers import ConvNormAct, to_fast_format
from mmvisattn.models.backbone import check_maps
from mmvisattn.registry import MODELS


@MODELS.register_module()
class SimpleHead(BaseDecodeHead):
    """Sum maps of equal channels at the size of the first, then 1 x 1 conv + norm + ReLU, dropout, classifier.

    Args:
        depthwise: the 1 x 1 convolution scales each channel separately, as in the published TopFormer-T; in S and B it mixes
            the channels.
        kwargs: arguments of mmseg's ``BaseDecodeHead``; ``in_channels`` is a list of equal numbers, one per entry of
            ``in_index``, and the first of these inputs is the largest map.

    Shape:
        A list of (B, C, H_i, W_i) to logits (B, num_classes, H_0, W_0).

    Raises:
        ValueError: if the ``in_channels`` are not equal, or, with ``depthwise``, differ from ``channels``.
    """

    def __init__(self, depthwise: bool = False, **kwargs):
        super().__init__(input_transform='multiple_select', **kwargs)
        if len(set(self.in_channels)) != 1:
            raise ValueError(f'SimpleHead sums its inputs, so in_channels={self.in_channels} must be equal')
        if depthwise and self.in_channels[0] != self.channels:
            raise ValueError(f'SimpleHead with depthwise=True keeps the channels, so channels={self.channels} must be '
                             f'in_channels={self.in_channels[0]}')
        self.fuse = ConvNormAct(
            self.in_channels[0], self.channels, 1, self.norm_cfg, self.act_cfg and self.act_cfg['type'],
            groups=self.channels if depthwise else 1, conv_cfg=self.conv_cfg)

    def forward(self, inputs: list[Tensor]) -> Tensor:
        check_maps('SimpleHead', inputs)
        x, *others = [to_fast_format(x) for x in self._transform_inputs(inputs)]
        for other in others:
            x = x + resize(other, x.shape[-2:], mode='bilinear', align_corners=self.align_corners)
        return self.cls_seg(self.fuse(x))
