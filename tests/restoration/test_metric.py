"""PSNR and SSIM against their definitions."""
import math

import pytest
import torch

from mmvisattn.restoration.metric import RestorationMetric


def evaluated(restored, clean, **kwargs):
    metric = RestorationMetric(**kwargs)
    for pair in zip(restored, clean):
        metric.process({}, [dict(zip(('restored', 'clean'), pair))])
    return metric.evaluate(len(clean))


def test_known_errors():
    clean = torch.full((2, 3, 20, 20), 0.4)
    restored = clean + torch.tensor([0.2, 51 / 255])[:, None, None, None]  # 51 of 255 in a file
    scores = evaluated(restored, clean)
    assert scores['PSNR'] == pytest.approx(20 * math.log10(255 / 51))
    assert 0 < scores['SSIM'] < 1


def test_values_beyond_white_are_clipped_and_rounded():
    assert evaluated([torch.full((1, 16, 16), 1.3)], [torch.ones(1, 16, 16)])['SSIM'] == 1
    assert evaluated([torch.full((1, 16, 16), 0.501)], [torch.full((1, 16, 16), 0.5)])['PSNR'] == float('inf')


def test_borders_are_left_out():
    clean, restored = torch.zeros(3, 32, 32), torch.zeros(3, 32, 32)
    restored[:, 0] = 1
    assert evaluated([restored], [clean])['PSNR'] < 20
    assert evaluated([restored], [clean], crop=4)['PSNR'] == float('inf')


def test_luma():
    """White is 235, black 16, and the error of one channel counts by its weight."""
    clean = torch.zeros(3, 16, 16)
    restored = clean.clone()
    restored[1] = 1
    error = 128.553 / 255
    assert evaluated([restored], [clean], channel='y')['PSNR'] == pytest.approx(-20 * math.log10(error))
    with pytest.raises(ValueError, match='hsv'):
        RestorationMetric(channel='hsv')
