"""Patches that grow during a training while the batches shrink (Restormer, https://arxiv.org/abs/2111.09881)."""
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import Sampler

from mmvisattn.registry import DATA_SAMPLERS, HOOKS


@DATA_SAMPLERS.register_module()
class ProgressiveBatchSampler(Sampler):
    """Batches of (index, patch size) that follow a schedule; ``ProgressivePatchHook`` sets the iteration.

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
        """Patch size and batch size of the current iteration."""
        return next(stage[1:] for stage in reversed(self.schedule) if stage[0] <= self.iteration)  # type: ignore

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        indices = iter(self.sampler)
        while True:
            patch_size, batch_size = self.stage()
            batch = [(index, patch_size) for _, index in zip(range(batch_size), indices)]
            if len(batch) < batch_size:
                return
            yield batch

    def __len__(self) -> int:
        return len(self.sampler) // self.stage()[1]  # type: ignore[arg-type]


@HOOKS.register_module()
class ProgressivePatchHook(Hook):
    """Sets the current iteration of the training's ``ProgressiveBatchSampler``, so that its schedule survives a resume.

    Worker processes prefetch a few batches, so a stage starts a few iterations late.
    """

    def _set_iteration(self, runner: Runner) -> None:
        sampler: Any = runner.train_dataloader.batch_sampler
        if not isinstance(sampler, ProgressiveBatchSampler):
            raise TypeError('ProgressivePatchHook: train_dataloader has no '
                            "batch_sampler=dict(type='mmvisattn.ProgressiveBatchSampler', …)")
        sampler.iteration = runner.iter

    def before_train(self, runner: Runner) -> None:
        self._set_iteration(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self._set_iteration(runner)
