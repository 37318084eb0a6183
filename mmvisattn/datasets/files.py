"""What is wrong with the files of a data set, told with their names."""
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ORIENTATION = 0x0112  # the tag of EXIF; from 5 on, width and height change places
SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.gif')  # Pillow reads all kinds of these, but not of others
MIN_SIDE = 8  # pixels: what is smaller is no photograph
ENDS = {b'\xff\xd8\xff': b'\xff\xd9', b'\x89PNG': b'IEND'}  # beginnings of JPEG and PNG files, and what is near their ends
Size = tuple[int, int]


class BadFile(ValueError):
    """A file that is broken or does not fit; the message names it."""


def _lacks_its_end(path: Path) -> bool:
    """Whether a JPEG or PNG file may be cut off: OpenCV would read the rest as gray."""
    with path.open('rb') as file:
        begin = file.read(4)
        file.seek(max(0, path.stat().st_size - 1024))
        tail = file.read()
    return any(begin.startswith(start) and end not in tail for start, end in ENDS.items())


def _open_any_size(path: Path) -> Image.Image:
    """An image as large as OpenCV reads it; Pillow stops at a sixth of that."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 2**30
    try:
        return Image.open(path)
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _opened(path: Path, thorough: bool) -> Image.Image | None:
    """An image whose header is read; None if only OpenCV or others read it.

    Raises:
        BadFile: if it is missing, empty or broken.
    """
    try:
        if not path.stat().st_size:
            raise BadFile(f'{path} is empty')
        if path.suffix.lower() not in SUFFIXES:
            return None
        image = _open_any_size(path)
        if thorough or _lacks_its_end(path):
            image.load()
        return image
    except BadFile:
        raise
    except FileNotFoundError:
        raise BadFile(f'{path} does not exist') from None
    except Exception as error:  # damaged files make Pillow raise many kinds
        if cv2.haveImageReader(str(path)) and not isinstance(error, (OSError, SyntaxError)):
            return None
        reason = 'it is no image' if 'cannot identify' in str(error) else ' '.join(str(error).split())
        if reason == 'it is no image' and cv2.haveImageReader(str(path)):
            return None
        raise BadFile(f'{path} cannot be read: {reason}') from error


def image_size(path: str | Path, thorough: bool = False) -> Size | None:
    """(height, width) of an image as mmcv loads it, turned as EXIF says; None if only OpenCV can tell.

    Args:
        path: of the file.
        thorough: also decode it. Otherwise only its header is read, and whether its end is there.

    Raises:
        BadFile: if it is missing, empty, broken, cut off, or tiny.
    """
    image = _opened(Path(path), thorough)
    if image is None:
        return None
    with image:
        width, height = image.size
        turned = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
    if min(width, height) < MIN_SIDE:
        raise BadFile(f'{path} has only {width} x {height} pixels')
    return (width, height) if turned else (height, width)


def read_labels(path: str | Path, thorough: bool = True) -> tuple[Size | None, np.ndarray | None]:
    """Size (height, width) of a label image, and its values (H, W) if it is decoded; None if Pillow does not read it.

    Raises:
        BadFile: if it is missing, empty or broken, or has other than one channel of 8 bits.
    """
    image = _opened(Path(path), thorough)
    if image is None:
        return None, None
    with image:
        if image.mode not in ('L', 'P', '1'):
            raise BadFile(f'{path} has the mode {image.mode} of Pillow: labels must have one channel of 8 bits (L or P)')
        return (image.size[1], image.size[0]), np.asarray(image) if thorough else None


def check_values(path: str | Path, values: np.ndarray, num_labels: int, ignored: int = 255) -> np.ndarray:
    """How often each value (0 to 255) occurs in a label image.

    Args:
        path: of the file.
        values: its labels.
        num_labels: labels from this one on are wrong.
        ignored: a label that is right nevertheless.

    Raises:
        BadFile: if there are wrong labels.
    """
    counts = np.bincount(np.asarray(values, np.uint8).ravel(), minlength=256)
    wrong = [value for value in np.flatnonzero(counts).tolist() if value >= num_labels and value != ignored]
    if wrong:
        raise BadFile(f'{path} has the labels {", ".join(map(str, wrong[:8]))}{" …" if len(wrong) > 8 else ""} '
                      f'({int(counts[wrong].sum())} pixels), but there are only 0 to {num_labels - 1}, and {ignored}')
    return counts


def check_sizes(paths: Sequence[str], sizes: Sequence[Size | None]) -> None:
    """Raises:
        BadFile: if two of the files differ in size.
    """
    for path, size in zip(paths[1:], sizes[1:]):
        if size and sizes[0] and size != sizes[0]:
            raise BadFile(f'{path} has {size[1]} x {size[0]} pixels, but {paths[0]} has {sizes[0][1]} x {sizes[0][0]} as it '
                          'is loaded (turned if its EXIF data says so)')
