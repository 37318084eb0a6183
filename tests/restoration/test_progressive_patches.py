"""Growing patches."""
from itertools import islice

import pytest
from mmengine.dataset import InfiniteSampler
from torch.utils.data import DataLoader, SequentialSampler

from mmvisattn.restoration.progressive_patches import ProgressiveBatchSampler
from mmvisattn.training.samplers import InfiniteSampler as RestartedSampler
from mmvisattn.training.samplers import ResumableBatchSampler

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


class Sizes:
    """A data set whose samples are the patch size that is asked for."""

    def __len__(self):
        return 9

    def __getitem__(self, index):
        return index[1]


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('position', [0, 7, 15])
def test_a_stage_begins_at_its_iteration_with_workers_and_after_a_resume(workers, position):
    config = dict(type='mmvisattn.ProgressiveBatchSampler', schedule=SCHEDULE)
    batches = ResumableBatchSampler(RestartedSampler(range(9), seed=0), 4, batch_sampler=config)
    batches.start_at(position)
    loader = DataLoader(Sizes(), batch_sampler=batches, num_workers=workers, prefetch_factor=4 if workers else None)
    sizes = [batch.tolist() for batch in islice(loader, 22 - position)]
    assert sizes == ([[8] * 4] * 10 + [[12] * 2] * 10 + [[16]] * 2)[position:]
