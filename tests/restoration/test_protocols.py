"""Each protocol gives what its formulas, written out window by window, give on the same images."""
import math

import cv2
import numpy as np
import pytest
from helpers.protocols import INDEPENDENT
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mmvisattn.restoration.degradations import AddGaussianNoise
from mmvisattn.restoration.protocols import PROTOCOLS, luma_in_bytes


def scene(seed, height=32, width=36):
    """Soft patches of color with edges and a slope, floats of 0 to 1 that are no multiples of 1/255."""
    random = np.random.default_rng(seed)
    image = cv2.GaussianBlur(random.random((height, width, 3)), (0, 0), 4)
    image = (image - image.min()) / np.ptp(image)
    image[height // 3:height // 2, width // 4:width // 2] = random.random(3)
    return (0.1 + 0.8 * image).clip(0, 1)


def degraded(clean, seed=9, deviation=0.04):
    return (clean + deviation * np.random.default_rng(seed).standard_normal(clean.shape)).clip(0, 1)


@pytest.mark.parametrize('name', INDEPENDENT)
def test_the_protocol_is_its_formulas(name):
    clean = scene(0)
    restored = degraded(clean)
    ours, theirs = PROTOCOLS[name](restored, clean), INDEPENDENT[name](restored, clean)
    assert ours.keys() == theirs.keys()
    # OpenCV's warp rounds positions to 1/32 pixel in two ways.
    tolerance = dict(rel=2e-4) if name == 'realblur' else dict(rel=1e-9, abs=1e-9)
    for score, value in theirs.items():
        assert ours[score] == pytest.approx(value, **tolerance), score


def test_every_protocol_has_formulas():
    assert set(PROTOCOLS) - {'plain'} == set(INDEPENDENT)


def test_plain_is_scikit_image():
    clean = scene(0)
    restored = degraded(clean)
    files = [np.rint(image * 255).astype(np.uint8) for image in (clean, restored)]
    assert PROTOCOLS['plain'](restored, clean) == pytest.approx(dict(
        PSNR=peak_signal_noise_ratio(*files), SSIM=structural_similarity(
            *files, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)))


def test_volumes_differ_from_planes():
    """As published: 0.961 with MATLAB's volumes, 0.940 with planes on the same images."""
    clean = scene(0)
    restored = degraded(clean)
    assert PROTOCOLS['gopro'](restored, clean)['SSIM'] > PROTOCOLS['plain'](restored, clean)['SSIM'] + 0.01


def test_the_luma_of_matlab():
    """The values that MATLAB documents: black is 16, white 235."""
    colors = np.array([[[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]], float)
    assert luma_in_bytes(colors).ravel().tolist() == [16, 235, 81, 145, 41]


def test_unrounded_and_rounded():
    clean = np.full((16, 16, 3), 0.5)
    assert PROTOCOLS['dpdd'](clean + 0.001, clean)['PSNR'] == pytest.approx(60)
    assert PROTOCOLS['gaussian'](clean + 0.0005, clean)['PSNR'] == math.inf


def test_a_shift_and_a_change_of_brightness_do_not_count():
    wide = scene(3, 90, 100)
    clean, restored = wide[8:-8, 8:-8], 0.9 * wide[5:-11, 10:-6]
    assert PROTOCOLS['plain'](restored, clean)['PSNR'] < 25
    assert PROTOCOLS['realblur'](restored, clean)['PSNR'] > 45


def test_the_noise_of_the_papers_tests():
    """Seed 0 anew for every image, drawn in float64, not clipped."""
    clean = scene(0).astype(np.float32)
    np.random.seed(0)
    expected = clean + np.random.normal(0, 50 / 255, clean.shape)
    for index in (0, 5):
        noisy = AddGaussianNoise(50, seed=0)(dict(degraded=clean, sample_idx=index))['degraded']
        np.testing.assert_allclose(noisy, expected, atol=1e-7)
    assert noisy.min() < 0 and noisy.max() > 1
