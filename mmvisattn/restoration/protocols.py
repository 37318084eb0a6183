"""How restored images are compared with clean ones: one protocol per published task, named in every log and table.

Images are arrays (H, W, C) of 0 to 1, float64. What a file would hold is compared in the numbers of the file, 0 to 255.
"""
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

Array = np.ndarray
Scores = dict[str, float]

# Deviation and radius of the Gaussian windows of SSIM (Wang et al., 2004).
DEVIATION, RADIUS = 1.5, 5
# For the luma of 8-bit RGB, 16 to 235, as MATLAB's rgb2ycbcr has it (ITU-R BT.601).
LUMA = np.array([65.481, 128.553, 24.966]) / 255


def in_bytes(image: Array) -> Array:
    """What an 8-bit file would hold, 0 to 255, as float64."""
    return (image * 255).round()


def luma_in_bytes(image: Array) -> Array:
    """The luma (H, W, 1) of 8-bit RGB, rounded to 8 bits."""
    return np.floor(in_bytes(image) @ LUMA[:, None] + 16 + 0.5)


def psnr(restored: Array, clean: Array, peak: float = 1.0, weight: Array | None = None) -> float:
    """Peak signal-to-noise ratio in dB; ``weight`` says how much each pixel counts."""
    error = np.average((restored - clean)**2, weights=weight)
    return float(10 * np.log10(peak**2 / error)) if error else float('inf')


def ssim(restored: Array, clean: Array, peak: float = 1.0) -> float:
    """SSIM of each channel with Gaussian windows of 11 x 11 that lie within the image."""
    return float(structural_similarity(
        clean, restored, data_range=peak, channel_axis=-1, gaussian_weights=True, sigma=DEVIATION,
        use_sample_covariance=False))


def ssim_of_volume(restored: Array, clean: Array, peak: float = 1.0) -> float:
    """SSIM as MATLAB's ``ssim`` computes it of an RGB array: a volume with Gaussian windows of 11 x 11 x 11 and replicated
    borders."""
    def mean(x: Array) -> Array:
        return gaussian_filter(x, DEVIATION, mode='nearest', radius=RADIUS)
    a, b = mean(restored), mean(clean)
    variances = mean(restored**2) - a**2 + mean(clean**2) - b**2
    covariance = mean(restored * clean) - a * b
    c1, c2 = (0.01 * peak)**2, (0.03 * peak)**2
    return float(np.mean((2 * a * b + c1) * (2 * covariance + c2) / ((a**2 + b**2 + c1) * (variances + c2))))


def plain(restored: Array, clean: Array) -> Scores:
    restored, clean = in_bytes(restored), in_bytes(clean)
    return dict(PSNR=psnr(restored, clean, 255), SSIM=ssim(restored, clean, 255))


def gaussian(restored: Array, clean: Array) -> Scores:
    return dict(PSNR=psnr(in_bytes(restored), in_bytes(clean), 255))


def deraining(restored: Array, clean: Array) -> Scores:
    restored, clean = luma_in_bytes(restored), luma_in_bytes(clean)
    return dict(PSNR=psnr(restored, clean, 255), SSIM=ssim(restored, clean, 255))


def motion(restored: Array, clean: Array) -> Scores:
    restored, clean = in_bytes(restored), in_bytes(clean)
    return dict(PSNR=psnr(restored, clean, 255), SSIM=ssim_of_volume(restored, clean, 255))


def aligned(restored: Array, clean: Array) -> tuple[Array, Array]:
    """A restored image, scaled and warped onto the clean one, and where it covers that (H, W, 1), 1 or 0.

    The brightness is fitted first. The homography is found by maximizing the enhanced correlation coefficient (ECC).

    Raises:
        cv2.error: if none is found.
    """
    height, width = clean.shape[:2]
    fitted = (restored * (np.sum(clean * restored) / max(np.sum(restored**2), 1e-12))).astype(np.float32)
    grays = [cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY) for image in (clean, fitted)]
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
    find: Any = cv2.findTransformECC  # its stubs take no Gaussian filter without a mask
    _, homography = find(
        *grays, np.eye(3, dtype=np.float32), cv2.MOTION_HOMOGRAPHY, criteria, inputMask=None, gaussFiltSize=5)
    warped = cv2.warpPerspective(fitted, homography, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                                 borderMode=cv2.BORDER_REFLECT)
    covered = cv2.warpPerspective(np.ones((height, width), np.float32), homography, (width, height),
                                  flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    return warped.astype(np.float64), covered[..., None].astype(np.float64)


def realblur(restored: Array, clean: Array) -> Scores:
    restored, clean = in_bytes(restored) / 255, in_bytes(clean) / 255
    warped, mask = aligned(restored, clean)
    weight = np.broadcast_to(mask, clean.shape)
    _, local = structural_similarity(
        clean * mask, warped * mask, data_range=1.0, channel_axis=-1, gaussian_weights=True, sigma=DEVIATION,
        use_sample_covariance=False, full=True)
    inner = (slice(RADIUS, -RADIUS), slice(RADIUS, -RADIUS))
    return dict(PSNR=psnr(warped, clean, weight=weight), SSIM=float(np.average(local[inner], weights=weight[inner])))


def sidd(restored: Array, clean: Array) -> Scores:
    return dict(PSNR=psnr(restored, clean), SSIM=ssim_of_volume(restored, clean))


def dpdd(restored: Array, clean: Array) -> Scores:
    uniform = structural_similarity(clean, restored, data_range=1.0, channel_axis=-1)  # 7 x 7
    return dict(PSNR=psnr(restored, clean), SSIM=float(uniform), MAE=float(np.abs(restored - clean).mean()))


PROTOCOLS: dict[str, Callable[[Array, Array], Scores]] = dict(
    plain=plain, gaussian=gaussian, deraining=deraining, gopro=motion, hide=motion, realblur=realblur, sidd=sidd, dpdd=dpdd)
