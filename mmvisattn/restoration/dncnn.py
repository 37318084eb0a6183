"""DnCNN (https://arxiv.org/abs/1608.03981): a plain convolutional network, the peer of our small restorers."""
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvisattn.layers import to_fast_format
from mmvisattn.models.backbone import check_images
from mmvisattn.registry import MODELS


@MODELS.register_module()
class DnCNN(BaseModule):
    """3 x 3 convolutions with batch norm and ReLU that predict what to subtract from the image.

    Args:
        in_channels: channels of the image.
        dims: channels in between.
        depth: number of convolutions: 17 in the paper for noise of known strength, 20 for blind denoising.
        batch_norm: as in the paper, whose batches have 128 patches. With a few, training goes faster without.
        init_cfg: as in mmengine; None: He et al.'s, and zeros for the last layer: the network begins as the identity.

    Shape: (B, in_channels, H, W), any size, to the same.
    """

    def __init__(self, in_channels: int = 3, dims: int = 64, depth: int = 17, batch_norm: bool = True,
                 init_cfg: dict | list[dict] | None = None):
        super().__init__(init_cfg or dict(
            type='Kaiming', layer='Conv2d', override=dict(type='Constant', name='last', val=0)))
        if depth < 2:
            raise ValueError(f'depth={depth} must be at least 2')
        self.in_channels = in_channels
        middle = [nn.Sequential(nn.Conv2d(dims, dims, 3, padding=1, bias=not batch_norm),
                                nn.BatchNorm2d(dims) if batch_norm else nn.Identity(), nn.ReLU())
                  for _ in range(depth - 2)]
        self.layers = nn.Sequential(nn.Conv2d(in_channels, dims, 3, padding=1), nn.ReLU(), *middle)
        self.last = nn.Conv2d(dims, in_channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        check_images(image)
        return image - self.last(self.layers(to_fast_format(image)))
