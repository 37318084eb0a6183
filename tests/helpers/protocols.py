"""The papers' protocols, transcribed from their formulas: every window written out, no filter of a library.

Images are uint8 or floats of 0 to 1, (H, W, C).
"""
import cv2
import numpy as np


def _kernel(sides):
    """Gaussian of deviation 1.5 on a grid of 11 in each of ``sides`` directions; its sum is 1."""
    offsets = np.arange(-5, 6)
    grid = sum(np.meshgrid(*[offsets.astype(float)**2] * sides, indexing='ij'))
    kernel = np.exp(-grid / (2 * 1.5**2))
    return kernel / kernel.sum()


def _statistics(a, b, kernel):
    """SSIM of every window, in the form of the paper (equation 13 of Wang et al., 2004), of windows (…, *kernel's shape)."""
    def mean(x):
        return (x * kernel).sum(tuple(range(-kernel.ndim, 0)), keepdims=True)
    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean((a - mean_a)**2), mean((b - mean_b)**2)
    return mean_a, mean_b, variance_a, variance_b, mean((a - mean_a) * (b - mean_b))


def _ssim_map(a, b, kernel, peak):
    windows = [np.lib.stride_tricks.sliding_window_view(x, kernel.shape) for x in (a, b)]
    mean_a, mean_b, variance_a, variance_b, covariance = _statistics(*windows, kernel)
    c1, c2 = (0.01 * peak)**2, (0.03 * peak)**2
    return ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)
            / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)))


def ssim_2d(a, b, peak):
    """The mean over the windows of 11 x 11 that lie within a plane."""
    return _ssim_map(a, b, _kernel(2), peak).mean()


def ssim_3d(a, b, peak):
    """MATLAB's ``ssim`` of an array (H, W, 3)."""
    return _ssim_map(np.pad(a, 5, mode='edge'), np.pad(b, 5, mode='edge'), _kernel(3), peak).mean()


def psnr(a, b, peak):
    return 20 * np.log10(peak / np.sqrt(np.mean((a - b)**2)))


def gaussian(restored, clean):
    restored, clean = (np.rint(x * 255).astype(np.uint8).astype(float) for x in (restored, clean))
    return dict(PSNR=psnr(restored, clean, 255))


def matlab_luma(image):
    """rgb2ycbcr of uint8, first channel: sums in double precision, rounded to uint8 (halves up)."""
    red, green, blue = (image[..., i].astype(float) for i in range(3))
    return np.floor(65.481 / 255 * red + 128.553 / 255 * green + 24.966 / 255 * blue + 16 + 0.5).astype(np.uint8)


def deraining(restored, clean):
    restored, clean = (matlab_luma(np.rint(x * 255).astype(np.uint8)).astype(float) for x in (restored, clean))
    return dict(PSNR=psnr(restored, clean, 255), SSIM=ssim_2d(restored, clean, 255))


def gopro(restored, clean):
    restored, clean = (np.rint(x * 255).astype(np.uint8).astype(float) for x in (restored, clean))
    return dict(PSNR=psnr(restored, clean, 255), SSIM=ssim_3d(restored, clean, 255))


def sidd(restored, clean):
    return dict(PSNR=psnr(restored, clean, 1), SSIM=ssim_3d(restored, clean, 1))


def _uniform_ssim(a, b):
    """Windows of 7 x 7 of equal weight, variances with n - 1, windows within the plane."""
    a, b = (np.lib.stride_tricks.sliding_window_view(x, (7, 7)).reshape(-1, 49) for x in (a, b))
    mean_a, mean_b = a.mean(1), b.mean(1)
    covariance = ((a - mean_a[:, None]) * (b - mean_b[:, None])).sum(1) / 48
    c1, c2 = 0.01**2, 0.03**2
    return np.mean((2 * mean_a * mean_b + c1) * (2 * covariance + c2)
                   / ((mean_a**2 + mean_b**2 + c1) * (a.var(1, ddof=1) + b.var(1, ddof=1) + c2)))


def dpdd(restored, clean):
    ssim = np.mean([_uniform_ssim(restored[..., i], clean[..., i]) for i in range(restored.shape[-1])])
    return dict(PSNR=psnr(restored, clean, 1), SSIM=ssim, MAE=np.mean(np.abs(restored - clean)))


def realblur(restored, clean):
    """Brightness fitted by least squares, homography of largest ECC, both images masked to what it covers."""
    restored, clean = (np.rint(x * 255) / 255 for x in (restored, clean))
    restored = restored * (np.vdot(clean, restored) / np.vdot(restored, restored))
    height, width = clean.shape[:2]
    gray = [cv2.cvtColor(x.astype(np.float32), cv2.COLOR_RGB2GRAY) for x in (clean, restored)]
    _, matrix = cv2.findTransformECC(gray[0], gray[1], np.eye(3, 3, dtype=np.float32), cv2.MOTION_HOMOGRAPHY,
                                     (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0), None, 5)
    rows, columns = np.mgrid[:height, :width]
    where = np.stack([columns, rows, np.ones_like(rows)], -1) @ matrix.T.astype(float)
    x, y = where[..., 0] / where[..., 2], where[..., 1] / where[..., 2]
    warped = cv2.remap(restored.astype(np.float32), x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC,
                       borderMode=cv2.BORDER_REFLECT).astype(float)
    mask = ((np.rint(x) >= 0) & (np.rint(x) < width) & (np.rint(y) >= 0) & (np.rint(y) < height))[..., None].astype(float)
    a, b = warped * mask, clean * mask
    mse = ((a - b)**2).sum() / (3 * mask.sum())
    maps = np.stack([_ssim_map(a[..., i], b[..., i], _kernel(2), 1)[..., 0, 0] for i in range(3)], -1)
    inner = mask[5:-5, 5:-5]
    return dict(PSNR=10 * np.log10(1 / mse), SSIM=np.mean((maps * inner).sum((0, 1)) / inner.sum((0, 1))))


INDEPENDENT = dict(gaussian=gaussian, deraining=deraining, gopro=gopro, hide=gopro, sidd=sidd, dpdd=dpdd, realblur=realblur)
