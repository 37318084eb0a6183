"""Samplers that go on from any position, without loading what was trained on before."""
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from mmengine.dataset import InfiniteSampler as MMEngineInfiniteSampler
from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler

from mmvisattn.registry import DATA_SAMPLERS

from .seeded_augmentation import SeededDataset, SeededIndex, seed_of


@DATA_SAMPLERS.register_module()
class InfiniteSampler(MMEngineInfiniteSampler):
    """mmengine's ``InfiniteSampler``, of which every iterator begins at the first index. Same arguments and order."""

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator()
        generator.manual_seed(self.seed)
        position = self.rank
        while True:
            order = torch.randperm(self.size, generator=generator) if self.shuffle else torch.arange(self.size)
            own = order[position::self.world_size].tolist()
            yield from own
            position += len(own) * self.world_size - self.size  # in the next permutation


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(Sampler):
    """Batches of any sampler and batch sampler, from any position on.

    The indices before the position are made and dropped; no data is loaded. The train loops of this package set the
    position. If the data set is a ``SeededDataset``, each index brings a seed, made of the sampler's seed, the epoch, the
    number of the batch in it, and the index.

    Args:
        sampler: yields indices; every new iterator of it must begin anew, as those of ``InfiniteSampler`` of this package
            and mmengine's ``DefaultSampler`` do.
        batch_size: indices in a batch.
        drop_last: whether to leave out the last batch if it is smaller.
        batch_sampler: config of another batch sampler that makes the batches; None: torch's ``BatchSampler``.
    """

    def __init__(self, sampler: Sampler, batch_size: int, drop_last: bool = False, batch_sampler: dict | None = None):
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.config = batch_sampler
        self.position = 0
        self.batches: Any = self._new_batches()

    def _new_batches(self) -> Iterable[list]:
        """The batch sampler. Some count what they have yielded, so each iterator has its own."""
        if self.config is None:
            return BatchSampler(self.sampler, self.batch_size, self.drop_last)
        settings = dict(sampler=self.sampler, batch_size=self.batch_size)
        return MMENGINE_DATA_SAMPLERS.build(self.config, default_args=settings)

    def start_at(self, position: int) -> None:
        """Let the next iterator begin at a batch of the epoch, counted from 0; those after it begin at 0 again."""
        self.position = position

    def __iter__(self) -> Iterator[list]:
        first, self.position = self.position, 0
        epoch = getattr(self.sampler, 'epoch', 0)
        self.batches = self._new_batches()
        for number, batch in enumerate(islice(self.batches, first, None), start=first):
            yield self._seeded(batch, epoch, number)

    def _seeded(self, batch: list, epoch: int, number: int) -> list:
        if not isinstance(getattr(self.sampler, 'dataset', None), SeededDataset):
            return batch
        seed, repeated, indices = getattr(self.sampler, 'seed', 0), Counter[Any](), []
        for index in batch:
            plain = index[0] if isinstance(index, tuple) else index
            indices.append(SeededIndex(index, seed_of(seed, epoch, number, plain, repeated[plain])))
            repeated[plain] += 1  # a small data set can occur twice in a batch
        return indices

    def __len__(self) -> int:
        return len(self.batches)
