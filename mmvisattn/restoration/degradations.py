"""Degradations that are added to clean images: noise and rain."""
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvisattn.registry import TRANSFORMS


@TRANSFORMS.register_module()
class AddGaussianNoise(BaseTransform):
    """Add white Gaussian noise to the degraded image, without clipping.

    Args:
        sigma: standard deviation on the 0 to 255 scale, or (lowest, highest) to draw it uniformly per image (blind
            denoising).
        seed: of the noise of every image, so that all have the same noise every time (the papers' tests: 0); None: new
            noise each time.
    """

    def __init__(self, sigma: float | tuple[float, float], seed: int | None = None):
        self.sigma = sigma
        self.seed = seed

    def transform(self, results: dict) -> dict:
        random = np.random if self.seed is None else np.random.RandomState(self.seed)
        sigma = random.uniform(*self.sigma) if isinstance(self.sigma, (tuple, list)) else self.sigma
        noise = random.normal(0, sigma / 255, results['degraded'].shape)
        results['degraded'] = (results['degraded'] + noise).astype(np.float32)
        return results


def rain_streaks(height: int, width: int, density: float, length: float, angle: float, random: Any) -> np.ndarray:
    """A layer of rain (H, W), float32 of 0 to 1: random drops, drawn out along one direction by the exposure.

    Args:
        height, width: pixels.
        density: share of the pixels at which a streak begins.
        length: of the streaks in pixels.
        angle: of the streaks in degrees from the vertical.
        random: numpy's ``random`` module, or a ``RandomState``.
    """
    drops = (random.uniform(size=(height, width)) < density) * random.uniform(0.3, 1, (height, width))
    side = 2 * int(np.ceil(length / 2)) + 1
    reach = length / 2 * np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))])
    ends = [tuple(int(value) for value in np.round(16 * (side // 2 + sign * reach))) for sign in (-1, 1)]
    streak = cv2.line(np.zeros((side, side), np.float32), ends[0], ends[1], 1.0, 1, cv2.LINE_AA, shift=4)
    streak = cv2.GaussianBlur(streak, (3, 3), 0.6)
    return cv2.filter2D(drops.astype(np.float32), -1, streak / streak.max(), borderType=cv2.BORDER_REFLECT).clip(0, 1)


@TRANSFORMS.register_module()
class AddRain(BaseTransform):
    """Let generated rain fall on the degraded image: bright streaks of one direction per image.

    A streak covers what is behind it: image + streak * (1 - image), so white stays white. The default ranges are guesses
    by eye at photographs of rain; this is not the rain of a published data set.

    Args:
        density: range of the share of the pixels at which a streak begins.
        length: range of the streaks' length in pixels.
        angle: range of their direction in degrees from the vertical.
        strength: range of the opacity of the brightest streaks.
        fixed: let the same rain fall on an image every time, for validation.
    """

    def __init__(self, density: tuple[float, float] = (0.002, 0.01), length: tuple[float, float] = (10, 30),
                 angle: tuple[float, float] = (-30, 30), strength: tuple[float, float] = (0.3, 0.8), fixed: bool = False):
        self.ranges = (density, length, angle)
        self.strength = strength
        self.fixed = fixed

    def transform(self, results: dict) -> dict:
        random = np.random.RandomState(results['sample_idx']) if self.fixed else np.random
        image = results['degraded']
        density, length, angle = (random.uniform(*limits) for limits in self.ranges)
        height, width = image.shape[:2]
        layer = rain_streaks(height, width, density, length, angle, random) * random.uniform(*self.strength)
        results['degraded'] = image + layer[..., None].astype(np.float32) * (1 - image)
        return results
