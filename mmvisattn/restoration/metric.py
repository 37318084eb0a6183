"""PSNR and SSIM of restored images."""
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from mmvisattn.registry import METRICS

CHANNELS = ('rgb', 'y')


def rounded_to_8_bits(image: Tensor) -> np.ndarray:
    """Clip and round a tensor (C, H, W) of 0 to 1 as in an 8-bit file; returns (H, W, C), still from 0 to 1."""
    return (image.detach().cpu().double().clamp(0, 1) * 255).round().permute(1, 2, 0).numpy() / 255


def luma(image: np.ndarray) -> np.ndarray:
    """The Y channel of YCbCr (ITU-R BT.601, 16 to 235 of 255) of (H, W, 3) RGB, as deraining is evaluated; (H, W, 1)."""
    return (16 + image @ np.array([[65.481], [128.553], [24.966]])) / 255


def psnr(restored: np.ndarray, clean: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two images (H, W, C) of 0 to 1."""
    return float(peak_signal_noise_ratio(clean, restored, data_range=1.0))


def ssim(restored: np.ndarray, clean: np.ndarray) -> float:
    """Structural similarity of two images (H, W, C) of 0 to 1: Gaussian windows of deviation 1.5 as in the original paper
    (Wang et al., 2004), mean of the channels."""
    return float(structural_similarity(
        clean, restored, data_range=1.0, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False))


@METRICS.register_module()
class RestorationMetric(BaseMetric):
    """PSNR (dB) and SSIM, averaged over the images.

    Both images are clipped to 0 to 1 and rounded to 8 bits, as in a file; the data range is 1.

    Args:
        channel: 'rgb': all channels together; 'y': the luma of ITU-R BT.601, for colour images.
        crop: pixels left out along each border.
        collect_device, prefix: as in mmengine.
    """

    default_prefix = None

    def __init__(self, channel: str = 'rgb', crop: int = 0, collect_device: str = 'cpu', prefix: str | None = None):
        super().__init__(collect_device, prefix)
        if channel not in CHANNELS:
            raise ValueError(f"channel='{channel}' is not one of {CHANNELS}")
        self.channel = channel
        self.crop = crop

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            pair = [rounded_to_8_bits(sample[name]) for name in ('restored', 'clean')]
            if self.crop:
                pair = [image[self.crop:-self.crop, self.crop:-self.crop] for image in pair]
            if self.channel == 'y':
                pair = [luma(image) for image in pair]
            self.results.append(dict(PSNR=psnr(*pair), SSIM=ssim(*pair)))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        return {name: float(np.mean([result[name] for result in results])) for name in ('PSNR', 'SSIM')}
