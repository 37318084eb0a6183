"""Samplers and data sets that go on from any position."""
import pickle
import random
from itertools import islice

import mmengine.dataset
import numpy as np
import pytest
import torch
from helpers.faults import Numbers
from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner

from mmvisattn.training.loops import IterBasedTrainLoop, _start_at
from mmvisattn.training.random_state import random_state, set_random_state
from mmvisattn.training.samplers import InfiniteSampler, ResumableBatchSampler
from mmvisattn.training.seeded_augmentation import SeededDataset, seed_of, seeded


class Noisy(Numbers):
    """A data set that draws from all generators."""

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(1).item()


@pytest.mark.parametrize('size, rank, world, shuffle', [(7, 0, 1, True), (7, 1, 3, True), (2, 4, 5, True), (5, 1, 2, False)])
def test_the_infinite_sampler_has_mmengines_order(monkeypatch, size, rank, world, shuffle):
    for module in (mmengine.dataset.sampler,):
        monkeypatch.setattr(module, 'get_dist_info', lambda: (rank, world))
    ours, theirs = (kind(range(size), shuffle, seed=3) for kind in (InfiniteSampler, mmengine.dataset.InfiniteSampler))
    expected = list(islice(theirs, 30))
    assert list(islice(ours, 30)) == expected == list(islice(ours, 30))  # and begins anew


PROGRESSIVE = dict(type='mmvisattn.ProgressiveBatchSampler', schedule=[(0, 8, 2), (3, 9, 1)])


@pytest.mark.parametrize('batch_sampler', [None, PROGRESSIVE])
def test_batches_go_on_from_any_position(batch_sampler):
    dataset = SeededDataset(Noisy(5))
    batches = ResumableBatchSampler(InfiniteSampler(dataset, seed=0), 2, batch_sampler=batch_sampler)
    expected = list(islice(batches, 12))
    for position in (1, 4, 11):
        batches.start_at(position)
        assert list(islice(batches, 12 - position)) == expected[position:]
    assert list(islice(batches, 12)) == expected  # the position is used once
    assert len({index.seed for batch in expected for index in batch}) == sum(map(len, expected))


def test_epochs_differ_and_the_last_batch_may_be_dropped():
    sampler = DefaultSampler(SeededDataset(Noisy(5)), seed=0)
    batches = ResumableBatchSampler(sampler, 2, drop_last=True)
    first = list(batches)
    sampler.set_epoch(1)
    assert len(first) == len(batches) == 2 and not {i.seed for b in first for i in b} & {i.seed for b in batches for i in b}
    assert len(ResumableBatchSampler(sampler, 2)) == 3


def test_without_a_seeded_data_set_indices_are_plain():
    assert list(ResumableBatchSampler(DefaultSampler(Noisy(3), shuffle=False, seed=0), 2)) == [[0, 1], [2]]


def test_samples_depend_on_their_seed_only():
    """With and without workers; the random numbers of the training go on as if nothing had been drawn."""
    def load(workers, position=0):
        loader = Runner.build_dataloader(dict(
            dataset=SeededDataset(Noisy(5)), sampler=dict(type='mmvisattn.InfiniteSampler'), num_workers=workers,
            batch_size=2, batch_sampler=dict(type='mmvisattn.ResumableBatchSampler'),
            collate_fn=dict(type='pseudo_collate')), seed=1)
        _start_at(loader, position)
        return list(islice(loader, 6 - position))

    state = random.random.__self__.getstate()
    expected = load(0)
    assert random.random.__self__.getstate() == state
    assert load(2) == expected and load(0, 4) == expected[4:]


def test_a_seeded_data_set_stands_for_the_other():
    dataset = SeededDataset(Noisy(4))
    assert len(dataset) == 4 and dataset.values is dataset.dataset.values and dataset[2][0] == 2
    assert len(pickle.loads(pickle.dumps(dataset))) == 4
    assert seed_of(1, 2) != seed_of(12) and 0 <= seed_of(1) < 2**63


def test_random_states_are_restored():
    state = random_state()
    drawn = Noisy()[0]
    with seeded(3):
        Noisy()[0]
    set_random_state(state)
    assert Noisy()[0] == drawn


def test_the_loops_name_what_they_need(tmp_path):
    loader = Runner.build_dataloader(dict(dataset=Noisy(), sampler=dict(type='DefaultSampler'), batch_size=2))
    with pytest.raises(TypeError, match='ResumableBatchSampler'):
        _start_at(loader, 0)
    assert issubclass(IterBasedTrainLoop, mmengine.runner.IterBasedTrainLoop)
