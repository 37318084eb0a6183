"""Means over test sets, their parts, and all of them."""
import math

import numpy as np
import pytest
import torch
from mmengine.registry import METRICS

from mmvisattn.restoration.metric import RestorationMetric


def sample(error, clean=0.4, **info):
    clean = torch.full((3, 20, 20), clean)
    return dict(clean=clean, restored=clean + error / 255, **info)


def evaluated(samples, **kwargs):
    metric = METRICS.build(dict(kwargs, type='mmvisattn.RestorationMetric'))
    for one in samples:
        metric.process({}, [one])
    return metric.evaluate(max(1, len(samples)))


def psnr(error):
    return 20 * math.log10(255 / error)


def test_the_protocol_stands_beside_the_value():
    scores = evaluated([sample(2, sample_idx=0), sample(4, sample_idx=1)], protocol='gaussian')
    assert scores == {'gaussian/PSNR': pytest.approx((psnr(2) + psnr(4)) / 2)}


def test_values_beyond_white_are_clipped():
    assert evaluated([sample(40, clean=1.0)])['plain/SSIM'] == 1


def test_sets_parts_and_their_mean():
    samples = [sample(2, test_set='a', sample_idx=0, subsets=['a indoor']), sample(4, test_set='a', sample_idx=1),
               sample(8, test_set='b', sample_idx=0), sample(16, test_set='c', sample_idx=0)]
    scores = evaluated(samples, protocol='gaussian', test_sets=['a', 'b'], mean='both')
    mean = (psnr(2) + psnr(4)) / 2
    assert scores == {'gaussian/a/PSNR': pytest.approx(mean), 'gaussian/a indoor/PSNR': pytest.approx(psnr(2)),
                      'gaussian/b/PSNR': pytest.approx(psnr(8)),
                      'gaussian/both/PSNR': pytest.approx((mean + psnr(8)) / 2)}
    assert 'gaussian/both/PSNR' not in evaluated(samples[:2], protocol='gaussian', test_sets=['a', 'b'], mean='both')


def test_an_image_that_two_processes_evaluated_counts_once():
    samples = [sample(2, test_set='a', sample_idx=0), sample(2, test_set='a', sample_idx=0),
               sample(4, test_set='a', sample_idx=1)]
    assert evaluated(samples, protocol='gaussian')['gaussian/a/PSNR'] == pytest.approx((psnr(2) + psnr(4)) / 2)


def test_what_cannot_be_evaluated_is_named():
    tiny = dict(clean=torch.zeros(3, 4, 4), restored=torch.zeros(3, 4, 4), img_path='tiny.png')
    with pytest.raises(ValueError, match='tiny.png cannot be evaluated by the protocol plain'):
        evaluated([tiny])
    with pytest.raises(ValueError, match='hsv'):
        RestorationMetric('hsv')
    assert np.isfinite(evaluated([dict(tiny, restored=torch.ones(3, 4, 4))], protocol='gaussian')['gaussian/PSNR'])
