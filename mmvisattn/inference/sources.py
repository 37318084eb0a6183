"""Accepted images: paths, URLs, images of Pillow, arrays, tensors."""
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from io import IOBase
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import torch
from PIL import Image, ImageOps

from mmvisattn.restoration.pictures import image_files
from mmvisattn.weights.download import is_url

Source = str | Path | Image.Image | np.ndarray | torch.Tensor
NO_ANSWER = (OSError, HTTPException)  # what opening an address raises


def listed(source: Source | Iterable[Source]) -> list[Any] | None:
    """The images of a folder or a list, or None for a single one."""
    if isinstance(source, str) and not source:  # which as a path is the working folder
        raise ValueError("predict takes a path, and '' is none")
    if isinstance(source, (str, Path)):
        return image_files(Path(source)) if not is_url(source) and Path(source).is_dir() else None
    if isinstance(source, (Image.Image, np.ndarray, torch.Tensor)):
        return None
    if not isinstance(source, Iterable) or isinstance(source, (bytes, IOBase, Mapping)):
        raise ValueError(f'predict takes a path, URL, image, array, tensor or a list of them, not {type(source).__name__}')
    return list(source)


def content_of(source: str | Path) -> np.ndarray:
    """The bytes of a file or address.

    Raises:
        FileNotFoundError: if there is no such file, or the address gives none.
    """
    if is_url(source):
        try:
            with urlopen(str(source), timeout=60) as response:
                return np.frombuffer(response.read(), np.uint8)
        except NO_ANSWER as error:
            raise FileNotFoundError(f'cannot fetch {source}: {error}') from error
    if not Path(source).is_file():
        raise FileNotFoundError(f'there is no image {source}')
    return np.fromfile(source, np.uint8)


def pixels_of(source: Image.Image | np.ndarray | torch.Tensor) -> np.ndarray:
    """(H, W, 1, 3 or 4) uint8 or uint16, or float32 of 0 to 1, RGB.

    Args:
        source: an image of Pillow; an array (H, W) or (H, W, C) of uint8, uint16, or of floats from 0 to 1; a tensor
            (C, H, W) of the same types.

    Raises:
        ValueError: if an array or a tensor is none of these.
    """
    if isinstance(source, Image.Image):
        upright = ImageOps.exif_transpose(source)
        if upright.mode.startswith('I'):  # 16 bits, which Pillow would clip to 8
            return np.asarray(upright).clip(0, 65535).astype(np.uint16)[..., None]
        mode = 'RGBA' if upright.has_transparency_data else upright.mode if upright.mode in ('RGB', 'L') else 'RGB'
        return np.asarray(upright.convert(mode)).reshape(upright.height, upright.width, -1)
    if torch.is_tensor(source) and source.ndim == 3:
        tensor = source.detach().cpu()
        array: Any = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy().transpose(1, 2, 0)
    else:
        array = source
    if not isinstance(array, np.ndarray) or array.ndim not in (2, 3) or 0 in array.shape:
        kind = f'{type(source).__name__} of shape {tuple(getattr(source, "shape", ()))}'
        raise ValueError(f'an image is an array (H, W, C) or (H, W), or a tensor (C, H, W), not a {kind}')
    array = array.reshape(*array.shape[:2], -1)
    if array.shape[-1] not in (1, 3, 4):
        raise ValueError(f'an image has 1, 3 or 4 channels, but the shape of this one is {tuple(source.shape)}')
    if np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ValueError('floating-point pixels lie between 0 and 1; give bytes (uint8) for 0 to 255')
        return array.astype(np.float32)
    if array.dtype not in (np.uint8, np.uint16):
        raise ValueError(f'pixels are uint8, uint16 or floating-point, not {array.dtype}')
    return array


def as_bytes(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB of what ``pixels_of`` gives; transparency is dropped."""
    if pixels.dtype == np.uint16:
        pixels = pixels >> 8
    elif pixels.dtype != np.uint8:
        pixels = (pixels * 255).round()
    pixels = pixels[..., :3] if pixels.shape[-1] == 4 else pixels
    return np.ascontiguousarray(pixels.astype(np.uint8).repeat(3 // pixels.shape[-1], axis=-1))
