"""Augmentation that depends on the sample and the moment of the training, and on nothing else."""
import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from torch.utils.data import Dataset

from mmvisattn.registry import DATASETS


class SeededIndex(NamedTuple):
    """An index of a data set, and the seed with which its sample is augmented."""
    index: Any
    seed: int


def seed_of(*parts: int) -> int:
    """A seed of 63 bits from whole numbers; similar numbers give unrelated seeds."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), 'little') >> 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """While active, the CPU's random numbers of Python, numpy and torch follow the seed; then they go on as before."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


@DATASETS.register_module()
class SeededDataset(Dataset):
    """A data set whose samples are augmented by the seed in the index, as ``ResumableBatchSampler`` gives it.

    So a sample is the same whichever worker makes it, how many workers there are, and whether the training was
    interrupted. Transforms must draw from Python's, numpy's or torch's global generators, and remember nothing (mmdet's
    ``CachedMosaic`` does).

    Args:
        dataset: the data set, or its config.
    """

    def __init__(self, dataset: Any):
        self.dataset = MMENGINE_DATASETS.build(dataset) if isinstance(dataset, dict) else dataset

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, SeededIndex):
            return self.dataset[index]
        with seeded(index.seed):
            return self.dataset[index.index]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset':  # not there yet, as while it is unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)
