"""Applying a restorer to image files."""
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mmvisattn.models import Restormer

from .image_restorer import ImageRestorer
from .pictures import Picture, as_channels


def _network_input(pixels: np.ndarray, channels: int) -> Tensor:
    """(N, C, H, W) for a network of ``channels``: colors one by one through a gray network, gray repeated for a color
    network."""
    if channels == 1:
        return torch.from_numpy(pixels).permute(2, 0, 1)[:, None]
    return torch.from_numpy(as_channels(pixels, 3)).permute(2, 0, 1)[None]


# Float32 numbers that a Restormer holds at once, per pixel and channel of its first level. On a CPU, where it works in
# chunks, it is measured (15.2 to 16.0); on a GPU, and in mixed precision, it is a guess from the widths of its layers.
NUMBERS_HELD = dict(cpu=16, cuda=32)


def bytes_per_pixel(model: ImageRestorer, amp: torch.dtype | None = None) -> float:
    """An estimate of the memory that restoring takes, per pixel of an image or tile, beside the model's own.

    Raises:
        ValueError: for networks other than ``Restormer``.
    """
    if not isinstance(model.backbone, Restormer):
        raise ValueError(f'the memory of a {type(model.backbone).__name__} is not known')
    device = next(model.parameters()).device.type
    dims = model.backbone.encoder.embedding.out_channels
    return NUMBERS_HELD.get(device, NUMBERS_HELD['cuda']) * dims * (4 if amp is None else 3)


def restore_picture(model: ImageRestorer, picture: Picture, right: Picture | None = None,
                    amp: torch.dtype | None = None) -> Picture:
    """A picture restored, with its channels, bit depth, transparency and metadata.

    Args:
        model: its ``tile`` says whether it works in tiles.
        picture: the degraded picture, or the left view of a dual-pixel sensor.
        right: the right view.
        amp: compute in mixed precision of this type; None: in float32.

    Raises:
        ValueError: if the two views differ in size.
    """
    channels = model.backbone.in_channels if right is None else 3
    views = [_network_input(view.pixels, channels) for view in (picture, right) if view is not None]
    if len({view.shape for view in views}) > 1:
        raise ValueError(f'the two views differ in size: {tuple(views[0].shape[-2:])} and {tuple(views[1].shape[-2:])}')
    x = views[0] if len(views) == 1 else torch.cat(views, dim=1)
    device = torch.device(model.data_preprocessor.device)
    with torch.inference_mode(), torch.autocast(device.type, amp, enabled=amp is not None):
        # One by one, so that the memory is that of one image.
        restored = torch.cat([model.restore(image[None].to(device)).float() for image in x]).clamp_(0, 1)
    planes = restored[:, 0] if channels == 1 else restored[0]
    pixels = planes.permute(1, 2, 0).float().cpu().numpy()
    if pixels.shape[-1] != picture.pixels.shape[-1]:
        pixels = pixels.mean(-1, keepdims=True)
    return replace(picture, pixels=pixels)
