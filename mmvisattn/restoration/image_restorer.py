"""Training and applying an image-to-image network."""
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmvisattn.registry import MODELS

from .tiling import in_tiles


@MODELS.register_module()
class ImageRestorer(BaseModel):
    """An image-to-image network, trained with the L1 loss.

    Args:
        backbone: the network, (B, C, H, W) to (B, C', H, W), values from 0 to 1.
        tile: side of the square tiles in pixels, for images that are too large for the memory. None: no tiles.
        tile_overlap: pixels that neighbouring tiles share and are blended over.
        tile_blending: see ``in_tiles``.
        mixup_beta: in training, a batch is mixed with a permutation of itself with probability 0.5, by weights from
            Beta(b, b) (the paper: 1.2, for Gaussian denoising). None: never.
        data_preprocessor, init_cfg: as in mmengine.

    ``mode='tensor'`` returns the network's output unchanged, 'loss' a dict of losses, and 'predict' the data samples with
    ``restored``, clipped to 0 to 1.
    """

    def __init__(self,
                 backbone: dict,
                 tile: int | None = None,
                 tile_overlap: int = 32,
                 tile_blending: str = 'linear',
                 mixup_beta: float | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None):
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.tile = tile
        self.tile_overlap = tile_overlap
        self.tile_blending = tile_blending
        self.mixup_beta = mixup_beta

    def restore(self, image: Tensor) -> Tensor:
        """Restore images (B, C, H, W), in tiles if ``tile`` is set."""
        if self.tile is None:
            return self.backbone(image)
        return in_tiles(self.backbone, image, self.tile, self.tile_overlap, self.tile_blending)

    def mixup(self, degraded: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
        """The pairs unchanged, or mixed, with the same weights for both images of a pair."""
        if self.mixup_beta is None or np.random.rand() < 0.5:
            return degraded, clean
        share = float(np.random.beta(self.mixup_beta, self.mixup_beta))
        order = torch.randperm(len(clean), device=clean.device)
        return degraded.lerp(degraded[order], 1 - share), clean.lerp(clean[order], 1 - share)

    def forward(self, inputs: Sequence[Tensor] | Tensor, data_samples: Sequence[BaseDataElement] | None = None,
                mode: str = 'tensor') -> Tensor | dict[str, Tensor] | list[BaseDataElement]:
        if mode == 'predict':  # one by one, because sizes may differ
            samples = data_samples or [BaseDataElement() for _ in inputs]
            for image, sample in zip(inputs, samples):
                sample.restored = self.restore(image[None])[0].clamp(0, 1)
            return list(samples)
        degraded = inputs if torch.is_tensor(inputs) else torch.stack(list(inputs))
        if mode == 'tensor':
            return self.restore(degraded)
        degraded, clean = self.mixup(degraded, torch.stack([sample.clean for sample in data_samples or ()]))
        return dict(loss=F.l1_loss(self.backbone(degraded), clean))
