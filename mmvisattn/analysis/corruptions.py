"""The usual 15 corruptions of images in 5 severities (ImageNet-C, ICLR 2019, https://arxiv.org/abs/1903.12261).

Written from the paper's description. The strengths are meant to be those of the published benchmark, but were not compared
with its code; blurs, weather and displacement are made in other ways (frost needs no photographs). So figures compare among
models that were measured here, not with published ones. Lengths are in pixels and are not scaled with the image.
"""
from collections.abc import Callable

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvisattn.registry import TRANSFORMS

Array = np.ndarray
Generator = np.random.Generator
SEVERITIES = (1, 2, 3, 4, 5)


def _gaussian_noise(x: Array, s: int, random: Generator) -> Array:
    return x + random.normal(scale=(0.08, 0.12, 0.18, 0.26, 0.38)[s], size=x.shape)


def _shot_noise(x: Array, s: int, random: Generator) -> Array:
    photons = (60, 25, 12, 5, 3)[s]
    return random.poisson(x * photons) / photons


def _impulse_noise(x: Array, s: int, random: Generator) -> Array:
    is_hit = random.random(x.shape) < (0.03, 0.06, 0.09, 0.17, 0.27)[s]
    return np.where(is_hit, random.integers(0, 2, x.shape), x)


def _disk(radius: float) -> Array:
    """A kernel (k, k) that averages a disk with a smooth edge."""
    reach = int(np.ceil(radius)) + 1
    rows, columns = np.mgrid[-reach:reach + 1, -reach:reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    return kernel / kernel.sum()


def _filtered(x: Array, kernel: Array) -> Array:
    return cv2.filter2D(x, -1, kernel, borderType=cv2.BORDER_REFLECT)


def _defocus_blur(x: Array, s: int, random: Generator) -> Array:
    return _filtered(x, _disk((3, 4, 6, 8, 10)[s]))


def _glass_blur(x: Array, s: int, random: Generator) -> Array:
    sigma, reach, times = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[s]
    x = cv2.GaussianBlur(x, (0, 0), sigma)
    height, width = x.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    for _ in range(times):  # every pixel takes the place of one near it
        down, right = random.integers(-reach, reach + 1, (2, height, width))
        x = x[np.clip(rows + down, 0, height - 1), np.clip(columns + right, 0, width - 1)]
    return cv2.GaussianBlur(x, (0, 0), sigma)


def _streak(length: int, angle: float) -> Array:
    """A kernel that averages along a line."""
    side = length | 1
    line = np.zeros((side, side))
    line[side // 2] = 1
    turn = cv2.getRotationMatrix2D((side // 2, side // 2), angle, 1)
    turned = cv2.warpAffine(line, turn, (side, side))
    return turned / turned.sum()


def _motion_blur(x: Array, s: int, random: Generator) -> Array:
    return _filtered(x, _streak((9, 13, 17, 23, 31)[s], random.uniform(-45, 45)))


def _zoomed(x: Array, factor: float) -> Array:
    """The middle of an image, enlarged to the whole."""
    height, width = x.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0, factor)
    return cv2.warpAffine(x, turn, (width, height), borderMode=cv2.BORDER_REFLECT)


def _zoom_blur(x: Array, s: int, random: Generator) -> Array:
    factors = np.linspace(1, (1.11, 1.16, 1.21, 1.26, 1.33)[s], 12)
    return np.mean([_zoomed(x, factor) for factor in factors], axis=0)


def _clouds(shape: tuple[int, ...], random: Generator, roughness: float = 2.0) -> Array:
    """Random clouds (H, W) from 0 to 1: noise of all sizes, larger ones stronger."""
    height, width = shape[:2]
    clouds, size, strength = np.zeros((height, width)), 2, 1.0
    while size < 2 * max(height, width):
        clouds += strength * cv2.resize(random.random((size, size)), (width, height), interpolation=cv2.INTER_CUBIC)
        size, strength = 2 * size, strength / roughness
    return (clouds - clouds.min()) / max(1e-6, np.ptp(clouds))


def _snow(x: Array, s: int, random: Generator) -> Array:
    density, length, light = ((0.01, 7, 0.15), (0.02, 9, 0.2), (0.03, 11, 0.25), (0.04, 13, 0.3), (0.05, 15, 0.35))[s]
    flakes = (random.random(x.shape[:2]) < density) * random.uniform(2, 6, x.shape[:2])
    flakes = _filtered(flakes, _streak(length, random.uniform(45, 135)))
    gray = x.mean(-1, keepdims=True)
    return (1 - light) * x + light * np.maximum(x, 1.5 * gray + 0.5 * light) + flakes[..., None]


def _frost(x: Array, s: int, random: Generator) -> Array:
    keep, strength = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[s]
    # Ice: ridges of clouds, which look like crystals, bright and blue.
    ridges = (1 - abs(2 * _clouds(x.shape, random, 1.4) - 1))**3
    return keep * x + strength * ridges[..., None] * np.array([0.85, 0.95, 1.0])


def _fog(x: Array, s: int, random: Generator) -> Array:
    strength, roughness = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))[s]
    highest = x.max()
    return (x + strength * _clouds(x.shape, random, roughness)[..., None]) * highest / (highest + strength)


def _brightness(x: Array, s: int, random: Generator) -> Array:
    hsv = cv2.cvtColor(x.astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 2] = np.clip(hsv[..., 2] + (0.1, 0.2, 0.3, 0.4, 0.5)[s], 0, 1)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def _contrast(x: Array, s: int, random: Generator) -> Array:
    mean = x.mean((0, 1), keepdims=True)
    return mean + (0.4, 0.3, 0.2, 0.1, 0.05)[s] * (x - mean)


def _elastic_transform(x: Array, s: int, random: Generator) -> Array:
    reach, sigma = ((3, 12), (4, 10), (5, 8), (6, 7), (8, 7))[s]
    shifts = cv2.GaussianBlur(random.uniform(-1, 1, (*x.shape[:2], 2)), (0, 0), sigma)
    shifts *= reach / max(1e-6, abs(shifts).max())
    rows, columns = np.mgrid[:x.shape[0], :x.shape[1]]
    across, down = (columns + shifts[..., 0]).astype(np.float32), (rows + shifts[..., 1]).astype(np.float32)
    return cv2.remap(x, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _pixelate(x: Array, s: int, random: Generator) -> Array:
    height, width = x.shape[:2]
    part = (0.6, 0.5, 0.4, 0.3, 0.25)[s]
    small = cv2.resize(x, (max(1, int(width * part)), max(1, int(height * part))), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def _jpeg_compression(x: Array, s: int, random: Generator) -> Array:
    _, code = cv2.imencode('.jpg', (255 * x).round().astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, (25, 18, 15, 10, 7)[s]])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR)) / 255


# Images (H, W, 3) from 0 to 1, the severity from 0, and a generator, to an image that may leave 0 to 1.
CORRUPTIONS: dict[str, Callable[[Array, int, Generator], Array]] = {
    'gaussian_noise': _gaussian_noise, 'shot_noise': _shot_noise, 'impulse_noise': _impulse_noise,
    'defocus_blur': _defocus_blur, 'glass_blur': _glass_blur, 'motion_blur': _motion_blur, 'zoom_blur': _zoom_blur,
    'snow': _snow, 'frost': _frost, 'fog': _fog, 'brightness': _brightness,
    'contrast': _contrast, 'elastic_transform': _elastic_transform, 'pixelate': _pixelate,
    'jpeg_compression': _jpeg_compression,
}


def corrupted(image: Array, name: str, severity: int, seed: int | list[int] = 0) -> Array:
    """A corrupted copy of an image.

    Args:
        image: (H, W, 3) uint8. Brightness, frost and compression take the order of the channels as RGB.
        name: one of ``CORRUPTIONS``.
        severity: 1 to 5.
        seed: the same seed gives the same noise.

    Raises:
        ValueError: if the name or the severity is none of the above.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"corruption='{name}' is not one of {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise ValueError(f'severity={severity} must be one of 1 to 5')
    x = CORRUPTIONS[name](image / 255, severity - 1, np.random.default_rng(seed))
    return (255 * np.clip(x, 0, 1)).round().astype(np.uint8)


@TRANSFORMS.register_module()
class Corruption(BaseTransform):
    """Corrupt an image, after it was loaded and before it is resized: for robustness tests, and as an augmentation.

    Args:
        corruption: one of the usual 15, see ``CORRUPTIONS``.
        severity: 1 to 5.
        seed: each image gets noise of its own by its index (``sample_idx``) and this seed.

    Raises:
        ValueError: if the name or the severity is none of the above.
    """

    def __init__(self, corruption: str, severity: int, seed: int = 0):
        corrupted(np.zeros((8, 8, 3), np.uint8), corruption, severity)  # which checks both
        self.corruption = corruption
        self.severity = severity
        self.seed = seed

    def transform(self, results: dict) -> dict:
        image = np.ascontiguousarray(results['img'][..., ::-1])  # mmcv loads BGR
        seed = [self.seed, results.get('sample_idx', 0)]
        results['img'] = np.ascontiguousarray(corrupted(image, self.corruption, self.severity, seed)[..., ::-1])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(corruption={self.corruption!r}, severity={self.severity}, seed={self.seed})'
