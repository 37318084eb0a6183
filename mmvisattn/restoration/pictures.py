"""Image files as floating-point pixels and back, with their bit depth and transparency."""
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmvisattn.files import written_whole

SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')


@dataclass(frozen=True)
class Picture:
    """An image file's content.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W, 1) gray, float32, 0 to 1.
        alpha: transparency (H, W, 1) in the file's dtype, or None.
        dtype: dtype of the file: uint8 or uint16.
    """
    pixels: np.ndarray
    alpha: np.ndarray | None
    dtype: Any


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder, by name, without its subfolders: by their content, or by their suffix if that is broken.

    Raises:
        FileNotFoundError: if there is none.
    """
    files = sorted(path for path in folder.glob('*') if path.is_file()
                   and (path.suffix.lower() in SUFFIXES or cv2.haveImageReader(str(path))))
    if not files:
        raise FileNotFoundError(f'there are no images in {folder}')
    return files


def decode_picture(data: np.ndarray, name: object) -> Picture:
    """The picture in the bytes of an image file of 8 or 16 bits per channel.

    Raises:
        ValueError: if it is no such file; the message calls it ``name``.
    """
    try:
        # Not imread, which prints a warning if it cannot open a file. With this flag, no EXIF orientation is applied.
        image: Any = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error:  # more pixels than OpenCV reads
        image = None
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f'{name} is not an image of 8 or 16 bits per channel')
    image = image.reshape(*image.shape[:2], -1)
    channels = image.shape[-1]
    alpha = image[..., -1:] if channels in (2, 4) else None
    colors = image[..., :1] if channels <= 2 else image[..., 2::-1]
    return Picture(np.divide(colors, np.iinfo(image.dtype).max, dtype=np.float32), alpha, image.dtype)


def read_picture(path: Path) -> Picture:
    """Read an image file, see ``decode_picture``."""
    return decode_picture(np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8), path)


def write_picture(path: Path, picture: Picture) -> None:
    """Write an image file, whole or not at all; the suffix sets its format.

    Raises:
        ValueError: if the format does not exist, or cannot hold the bit depth or the transparency.
    """
    lossy = path.suffix.lower() in ('.jpg', '.jpeg')
    if lossy and (picture.alpha is not None or picture.dtype != np.uint8):
        raise ValueError(f'{path}: JPEG holds neither 16 bits per channel nor transparency; write PNG')
    image = (picture.pixels.clip(0, 1) * np.iinfo(picture.dtype).max).round().astype(picture.dtype)[..., ::-1]
    if picture.alpha is not None:
        colors = image if image.shape[-1] == 3 else image.repeat(3, axis=-1)
        image = np.concatenate([colors, picture.alpha], axis=-1)
    if not cv2.haveImageWriter(str(path)):
        raise ValueError(f'{path}: there is no image format {path.suffix or "without a suffix"}')
    _, data = cv2.imencode(path.suffix, image, [cv2.IMWRITE_JPEG_QUALITY, 95] if lossy else [])
    with written_whole(path) as unfinished:
        Path(unfinished).write_bytes(data.tobytes())


def as_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Pixels (H, W, 1 or 3) with 1 or 3 channels: gray by ITU-R BT.601 luma, colour by repetition."""
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
    return pixels.repeat(3, axis=-1)
