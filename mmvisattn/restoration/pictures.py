"""Image files as floating-point pixels and back, with their bit depth, transparency, EXIF data and color profile."""
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from mmvisattn.files import written_whole

SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')
JPEG = ('.jpg', '.jpeg', '.jpe')
# Formats in which OpenCV (from 4.12 on) writes EXIF data and a color profile.
WITH_METADATA = (*JPEG, '.png', '.webp', '.avif') if hasattr(cv2, 'imencodeWithMetadata') else ()
ORIENTATION = 0x0112  # EXIF's tag
TURNS = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}  # quarters counterclockwise that set an orientation upright
MIRRORED = (2, 4, 5, 7)


@dataclass(frozen=True)
class Picture:
    """An image file's content.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W, 1) gray, float32, 0 to 1.
        alpha: transparency (H, W, 1) in the file's dtype, or None.
        dtype: dtype of the file: uint8 or uint16.
        exif: EXIF data as the file holds it, or None.
        profile: ICC color profile, or None.
        orientation: how the file holds the pixels, as EXIF counts it; here they are always upright.
    """
    pixels: np.ndarray
    alpha: np.ndarray | None
    dtype: Any
    exif: bytes | None = None
    profile: bytes | None = None
    orientation: int = 1


def is_image(path: Path) -> bool:
    """Whether a file is an image by its content, or by its suffix if that is broken."""
    return path.is_file() and (path.suffix.lower() in SUFFIXES or cv2.haveImageReader(str(path)))


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder, by name, without its subfolders, see ``is_image``.

    Raises:
        FileNotFoundError: if there is none.
    """
    files = sorted(path for path in folder.glob('[!.]*') if is_image(path))
    if not files:
        raise FileNotFoundError(f'there are no images in {folder}')
    return files


def decode_picture(data: np.ndarray, name: object) -> Picture:
    """The picture in the bytes of an image file of 8 or 16 bits per channel.

    Raises:
        ValueError: if it is no such file; the message calls it ``name``.
    """
    try:
        # Not imread, which prints a warning if it cannot open a file. This flag applies no EXIF orientation.
        image: Any = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error as error:  # more than 2^30 pixels
        raise ValueError(f'{name} cannot be read: {" ".join(str(error).split())}') from error
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f'{name} is not an image of 8 or 16 bits per channel')
    exif, profile, orientation = _metadata(data)
    return replace(_picture(_upright(image, orientation)), exif=exif, profile=profile, orientation=orientation)


def _metadata(data: np.ndarray) -> tuple[bytes | None, bytes | None, int]:
    """EXIF data, color profile, and the orientation in which the camera was held."""
    try:
        file = Image.open(BytesIO(data.tobytes()))
        # OpenCV reads TIFF upright whatever the flag.
        orientation = file.getexif().get(ORIENTATION, 1) if file.format != 'TIFF' else 1
        return file.info.get('exif'), file.info.get('icc_profile'), orientation if orientation in range(1, 9) else 1
    except Exception:  # Pillow reads fewer formats than OpenCV, and files can be damaged in any way
        return None, None, 1


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    mirrored = image[:, ::-1] if orientation in MIRRORED else image
    return np.ascontiguousarray(np.rot90(mirrored, TURNS.get(orientation, 0)))


def _as_held(image: np.ndarray, orientation: int) -> np.ndarray:
    """The reverse of ``_upright``."""
    turned = np.rot90(image, -TURNS.get(orientation, 0))
    return np.ascontiguousarray(turned[:, ::-1] if orientation in MIRRORED else turned)


def read_picture(path: Path) -> Picture:
    """Read an image file, see ``decode_picture``."""
    return decode_picture(np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8), path)


def _picture(image: np.ndarray) -> Picture:
    """From OpenCV's arrangement."""
    image = image.reshape(*image.shape[:2], -1)
    channels = image.shape[-1]
    alpha = image[..., -1:] if channels in (2, 4) else None
    colors = image[..., :1] if channels <= 2 else image[..., 2::-1]
    return Picture(np.divide(colors, np.iinfo(image.dtype).max, dtype=np.float32), alpha, image.dtype)


def _encoded(suffix: str, picture: Picture) -> np.ndarray | None:
    """The bytes of an image file; None if the format's writer takes no such image.

    Where the format holds EXIF data, these and the pixels stay as they were held; elsewhere the pixels are upright. A
    profile of other colors than those written is left out, such as that of a CMYK file, which is read as RGB.
    """
    image = (picture.pixels.clip(0, 1) * np.iinfo(picture.dtype).max).round().astype(picture.dtype)[..., ::-1]
    if picture.alpha is not None:
        image = np.concatenate([image if image.shape[-1] == 3 else image.repeat(3, axis=-1), picture.alpha], axis=-1)
    colors = b'GRAY' if image.shape[-1] == 1 else b'RGB '
    profile = picture.profile if picture.profile and picture.profile[16:20] == colors else None
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix in JPEG else []
    try:
        if suffix not in WITH_METADATA or (picture.exif is None and profile is None):
            written, data = cv2.imencode(suffix, image, settings)
            return data if written else None
        kinds = {cv2.IMAGE_METADATA_EXIF: picture.exif, cv2.IMAGE_METADATA_ICCP: profile}
        given = {kind: np.frombuffer(content, np.uint8) for kind, content in kinds.items() if content}
        image = _as_held(image, picture.orientation) if picture.exif else image
        written, data = cv2.imencodeWithMetadata(suffix, image, [*given], [*given.values()], settings)
    except cv2.error:
        return None
    return data if written else None


@cache
def _holds(suffix: str, dtype: Any, channels: int, transparent: bool) -> bool:
    """Whether a small image comes back from a file of this format as it was: OpenCV's writers turn what a format cannot
    hold into something else, or write what no reader reads."""
    ramp = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8).repeat(4, axis=0).repeat(4, axis=1)[..., None]
    pixels = np.concatenate([ramp, 1 - ramp, ramp * 0.5], axis=-1)[..., :channels]
    alpha = np.full(ramp.shape, np.iinfo(dtype).max // 2, dtype) if transparent else None
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it would warn of each
    try:
        data = _encoded(suffix, Picture(pixels, alpha, dtype))
        image: Any = None if data is None else cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if image is None or image.dtype != dtype:
        return False
    again = _picture(image)
    near = abs(as_channels(again.pixels, 3) - as_channels(pixels, 3)).mean() < 0.02  # formats that lose little may
    if alpha is None or again.alpha is None:
        return bool(near) and alpha is again.alpha
    return bool(near) and bool(abs(again.alpha.astype(float) - alpha).mean() < 0.02 * np.iinfo(dtype).max)


def check_format(path: Path, picture: Picture) -> None:
    """Fail where a file of this name could not hold such a picture.

    Raises:
        ValueError: if the suffix names no format, or one that cannot hold the bit depth, the channels or the transparency.
    """
    if not cv2.haveImageWriter(str(path)):
        raise ValueError(f'{path}: there is no image format {path.suffix or "without a suffix"}; write .png')
    channels = picture.pixels.shape[-1]
    if not _holds(path.suffix.lower(), np.dtype(picture.dtype), channels, picture.alpha is not None):
        raise ValueError(
            f'{path}: {path.suffix} cannot hold {"colours" if channels == 3 else "gray"} of '
            f'{8 * np.dtype(picture.dtype).itemsize} bits'
            f'{" with transparency" if picture.alpha is not None else ""} as they are; write .png')


def write_picture(path: Path, picture: Picture) -> None:
    """Write an image file, whole or not at all; the suffix sets its format.

    Raises:
        ValueError: as ``check_format``, or if the image is larger than the format allows.
    """
    check_format(path, picture)
    data = _encoded(path.suffix.lower(), picture)
    if data is None:
        height, width = picture.pixels.shape[:2]
        raise ValueError(f'{path}: {path.suffix} cannot hold {width} x {height} pixels; write .png')
    with written_whole(path) as unfinished:
        Path(unfinished).write_bytes(data.tobytes())


def as_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Pixels (H, W, 1 or 3) with 1 or 3 channels: gray by ITU-R BT.601 luma, colour by repetition."""
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
    return pixels.repeat(3, axis=-1)
