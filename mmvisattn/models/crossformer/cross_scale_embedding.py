"""Cross-scale embedding layer (CEL; CrossFormer, ICLR 2022, https://arxiv.org/abs/2108.00154)."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmvisattn.layers import is_exporting


def is_any_size(x: Tensor) -> bool:
    """Whether ``torch.export`` records a program for maps of any size."""
    return is_exporting() and any(isinstance(side, torch.SymInt) for side in x.shape[1:])


class CrossScaleEmbedding(BaseModule):
    """Cross-scale embedding layer (CEL): convolutions of several kernel sizes and one stride, concatenated on channels.

    Args:
        in_channels: channels of the input.
        widths: output channels of each convolution.
        kernel_sizes: kernel size of each convolution.
        stride: stride of all convolutions.

    Shape:
        (B, H, W, in_channels) to (B, ceil(H / stride), ceil(W / stride), sum of widths). The input is padded with zeros at
        the bottom and right to a multiple of the stride.
    """

    def __init__(self, in_channels: int, widths: Sequence[int], kernel_sizes: Sequence[int], stride: int):
        super().__init__()
        self.stride = stride
        self.projs = ModuleList(
            nn.Conv2d(in_channels, width, kernel_size, stride, (kernel_size - stride) // 2)
            for width, kernel_size in zip(widths, kernel_sizes))

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        height, width = x.shape[-2:]
        down, right = ((side + self.stride - 1) // self.stride * self.stride - side for side in (height, width))
        if is_any_size(x) or down or right:  # no decision may depend on any size
            x = F.pad(x, (0, right, 0, down))
        return torch.cat([proj(x).permute(0, 2, 3, 1) for proj in self.projs], dim=-1)
