"""Growing patches."""
import pytest
from mmengine.dataset import InfiniteSampler
from torch.utils.data import SequentialSampler

from mmvisattn.restoration.progressive_patches import ProgressiveBatchSampler

SCHEDULE = [(0, 8, 4), (10, 12, 2), (20, 16, 1)]


def test_stages_follow_the_number_of_batches():
    batches = iter(ProgressiveBatchSampler(InfiniteSampler(range(9), shuffle=False), 4, SCHEDULE))
    first = [next(batches) for _ in range(21)]
    assert first[0] == [(0, 8), (1, 8), (2, 8), (3, 8)] and first[9] == [(0, 8), (1, 8), (2, 8), (3, 8)]
    assert first[10] == [(4, 12), (5, 12)] and first[19] == [(4, 12), (5, 12)] and first[20] == [(6, 16)]


def test_a_finite_sampler_ends():
    assert len(list(ProgressiveBatchSampler(SequentialSampler(range(9)), 4, SCHEDULE))) == 2


@pytest.mark.parametrize('schedule', [
    [], [(1, 8, 4)], [(0, 8, 4), (0, 9, 2)], [(0, 8, 4), (9, 9, 2), (5, 9, 2)], [(0, 8, 3)]], ids=str)
def test_wrong_schedules_are_named(schedule):
    with pytest.raises(ValueError, match='schedule'):
        ProgressiveBatchSampler(SequentialSampler(range(9)), 4, schedule)
