"""TopFormer's token pyramid module (TPM; CVPR 2022, https://arxiv.org/abs/2204.05525): MobileNetV2's blocks."""
from collections.abc import Sequence

from mmengine.model import BaseModule, Sequential
from torch import Tensor

from mmvisattn.layers import ConvNormAct

# Rows of the token pyramid are (kernel size, expansion, channels, stride), as in the paper's table of architectures.
Row = tuple[int, int, int, int]


def pyramid(first: int, widths: Sequence[int], last_level_depth: int) -> tuple[tuple[Row, ...], ...]:
    """The rows of the token pyramid's four levels (TPM) in a published variant with ``widths`` channels."""
    w1, w2, w3, w4 = widths
    return (
        ((3, 1, first, 1), (3, 4, w1, 2), (3, 3, w1, 1)),
        ((5, 3, w2, 2), (5, 3, w2, 1)),
        ((3, 3, w3, 2), (3, 3, w3, 1)),
        ((5, 6, w4, 2), (5, 6, w4, 1), (3, 6, w4, 1))[:last_level_depth],
    )


class InvertedResidual(BaseModule):
    """MobileNetV2's block: 1 x 1 expansion, depthwise k x k, 1 x 1 projection.

    Shape: (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride)).
    """

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
