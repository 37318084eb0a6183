"""Growing patches."""
import pytest
from mmengine.dataset import InfiniteSampler
from torch.utils.data import SequentialSampler

from mmvisattn.restoration.progressive_patches import ProgressiveBatchSampler

SCHEDULE = [(0, 8, 4), (10, 12, 2), (20, 16, 1)]


def test_stages_follow_the_iteration():
    sampler = ProgressiveBatchSampler(InfiniteSampler(range(9), shuffle=False), 4, SCHEDULE)
    batches = iter(sampler)
    assert next(batches) == [(0, 8), (1, 8), (2, 8), (3, 8)]
    sampler.iteration = 9
    assert next(batches) == [(4, 8), (5, 8), (6, 8), (7, 8)]
    sampler.iteration = 10
    assert next(batches) == [(8, 12), (0, 12)]
    sampler.iteration = 25
    assert next(batches) == [(1, 16)] and next(batches) == [(2, 16)]


def test_a_finite_sampler_ends():
    assert len(list(ProgressiveBatchSampler(SequentialSampler(range(9)), 4, SCHEDULE))) == 2


@pytest.mark.parametrize('schedule', [
    [], [(1, 8, 4)], [(0, 8, 4), (0, 9, 2)], [(0, 8, 4), (9, 9, 2), (5, 9, 2)], [(0, 8, 3)]], ids=str)
def test_wrong_schedules_are_named(schedule):
    with pytest.raises(ValueError, match='schedule'):
        ProgressiveBatchSampler(SequentialSampler(range(9)), 4, schedule)
