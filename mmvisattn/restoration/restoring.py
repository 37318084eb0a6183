"""Applying a restorer to image files."""
import numpy as np
import torch
from torch import Tensor

from .image_restorer import ImageRestorer
from .pictures import Picture, as_channels


def _network_input(pixels: np.ndarray, channels: int) -> Tensor:
    """(N, C, H, W) for a network of ``channels``: colors one by one through a gray network, gray repeated for a color
    network."""
    if channels == 1:
        return torch.from_numpy(pixels).permute(2, 0, 1)[:, None]
    return torch.from_numpy(as_channels(pixels, 3)).permute(2, 0, 1)[None]


def restore_picture(model: ImageRestorer, picture: Picture, right: Picture | None = None) -> Picture:
    """A picture restored, with its channels, bit depth and transparency.

    Args:
        model: its ``tile`` says whether it works in tiles.
        picture: the degraded picture, or the left view of a dual-pixel sensor.
        right: the right view.

    Raises:
        ValueError: if the two views differ in size.
    """
    channels = model.backbone.in_channels if right is None else 3
    views = [_network_input(view.pixels, channels) for view in (picture, right) if view is not None]
    if len({view.shape for view in views}) > 1:
        raise ValueError(f'the two views differ in size: {tuple(views[0].shape[-2:])} and {tuple(views[1].shape[-2:])}')
    x = views[0] if len(views) == 1 else torch.cat(views, dim=1)
    with torch.inference_mode():
        restored = model.restore(x.to(model.data_preprocessor.device)).clamp_(0, 1)
    planes = restored[:, 0] if channels == 1 else restored[0]
    pixels = planes.permute(1, 2, 0).float().cpu().numpy()
    if pixels.shape[-1] != picture.pixels.shape[-1]:
        pixels = pixels.mean(-1, keepdims=True)
    return Picture(pixels, picture.alpha, picture.dtype)
