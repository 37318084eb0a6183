"""Patches that grow during a training while the batches shrink (Restormer, https://arxiv.org/abs/2111.09881)."""
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from mmvisattn.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ProgressiveBatchSampler(Sampler):
    """Batches of (index, patch size) that follow a schedule, by the number of batches yielded.

    Args:
        sampler: yields the indices.
        batch_size: batch size of the first stage; mmengine passes that of the data loader.
        schedule: stages (first iteration, patch size, batch size), the first one from iteration 0.

    Raises:
        ValueError: if the schedule is not in order or disagrees with the batch size.
    """

    def __init__(self, sampler: Sampler, batch_size: int, schedule: Sequence[tuple[int, int, int]]):
        starts = [stage[0] for stage in schedule]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError(f'schedule={schedule} must begin with iteration 0 and be in order')
        if schedule[0][2] != batch_size:
            raise ValueError(f'schedule={schedule} must begin with batches of batch_size={batch_size}')
        self.sampler = sampler
        self.batch_size = batch_size
        self.schedule = [tuple(stage) for stage in schedule]
        self.iteration = 0

    def stage(self) -> tuple[int, int]:
        """Patch size and batch size of the next batch."""
        return next(stage[1:] for stage in reversed(self.schedule) if stage[0] <= self.iteration)  # type: ignore

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        indices = iter(self.sampler)
        while True:
            patch_size, batch_size = self.stage()
            batch = [(index, patch_size) for _, index in zip(range(batch_size), indices)]
            if len(batch) < batch_size:
                return
            self.iteration += 1
            yield batch

    def __len__(self) -> int:
        return len(self.sampler) // self.stage()[1]  # type: ignore[arg-type]
