"""mmengine's train loops, resumed exactly where they were interrupted."""
from collections.abc import Iterator
from typing import Any, cast

from mmengine.dataset import InfiniteSampler as MMEngineInfiniteSampler
from mmengine.runner import EpochBasedTrainLoop as MMEngineEpochLoop
from mmengine.runner import IterBasedTrainLoop as MMEngineIterLoop
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmvisattn.registry import LOOPS

from .checkpoint_hook import VALIDATED
from .samplers import ResumableBatchSampler


def _start_at(loader: DataLoader, position: int) -> None:
    """Let the next iterator of a data loader begin at a batch.

    Raises:
        TypeError: if its batches come from another sampler.
    """
    if not isinstance(loader.batch_sampler, ResumableBatchSampler):
        raise TypeError("the train loops of mmvisattn need batch_sampler=dict(type='mmvisattn.ResumableBatchSampler', …) in "
                        'train_dataloader')
    loader.batch_sampler.start_at(position)


def _sampler(loader: DataLoader) -> Any:
    """What yields the indices. (The loader's own ``sampler`` is not used beside a batch sampler.)"""
    return getattr(loader.batch_sampler, 'sampler', None)


def _set_epoch(loader: DataLoader, epoch: int) -> None:
    if hasattr(_sampler(loader), 'set_epoch'):
        _sampler(loader).set_epoch(epoch)


BATCHES = 'batches_per_epoch'  # what the message hub calls their number


class _Unstarted:
    """Stands for a data loader whose workers shall not start yet."""

    def __init__(self, loader: DataLoader):
        self.dataset = loader.dataset

    def __iter__(self) -> Iterator:
        return iter(())


class _Resumable:
    """What both loops do: validations that a kill prevented are made up for.

    A checkpoint is saved before the validation of the same step. mmengine goes on with the next step then, so the score of
    this step, which might be the best, would be missing.
    """
    runner: Runner

    def _validate(self) -> None:
        self.runner.val_loop.run()
        self.runner.message_hub.update_info(VALIDATED, self.runner.iter)

    def _is_unvalidated(self) -> bool:
        return self.runner.iter > 0 and self.runner.message_hub.runtime_info.get(VALIDATED) != self.runner.iter


@LOOPS.register_module()
class IterBasedTrainLoop(_Resumable, MMEngineIterLoop):
    """mmengine's ``IterBasedTrainLoop``; a resumed training takes the batches that it would have taken. Same arguments.

    Needs ``ResumableBatchSampler``. Nothing is loaded to be dropped, with any number of workers.
    """

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, *args: Any, **kwargs: Any):
        if isinstance(dataloader, dict):
            diff_rank_seed = (runner.cfg.get('randomness') or {}).get('diff_rank_seed', False)
            dataloader = runner.build_dataloader(dataloader, seed=runner.seed, diff_rank_seed=diff_rank_seed)
        # mmengine 0.10.7 starts the workers here, before it is known where to begin.
        loader = cast(DataLoader, dataloader)
        super().__init__(runner, cast(DataLoader, _Unstarted(loader)), *args, **kwargs)
        self.dataloader = loader

    def _batches(self) -> Iterator[Any]:
        """The batches from the current iteration on; a finite data loader is begun again and again."""
        try:
            epoch, position = divmod(self._iter, len(self.dataloader)) if self._is_finite() else (0, self._iter)
        except ZeroDivisionError:
            raise ValueError('train_dataloader has no batch: fewer images than batch_size, and drop_last') from None
        while True:
            _set_epoch(self.dataloader, epoch)
            _start_at(self.dataloader, position)
            yield from self.dataloader
            epoch, position = epoch + 1, 0

    def _is_finite(self) -> bool:
        return not isinstance(_sampler(self.dataloader), MMEngineInfiniteSampler)

    def _is_validation_due(self) -> bool:
        return self.runner.val_loop is not None and self._iter >= self.val_begin and (
            self._iter % self.val_interval == 0 or self._iter == self._max_iters)

    def run(self) -> nn.Module:  # type: ignore[override]
        """Train."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        batches = self._batches()
        self._decide_current_val_interval()
        if self._is_unvalidated() and self._is_validation_due():
            self._validate()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(batches))
            self._decide_current_val_interval()
            if self._is_validation_due():
                self._validate()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model


@LOOPS.register_module()
class EpochBasedTrainLoop(_Resumable, MMEngineEpochLoop):
    """mmengine's ``EpochBasedTrainLoop``, which also goes on within an epoch. Same arguments.

    Needs ``ResumableBatchSampler``.

    Raises:
        ValueError: if the data set holds no whole batch, and batches in part are dropped.
    """
    _iter: int
    _epoch: int

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, *args: Any, **kwargs: Any):
        super().__init__(runner, dataloader, *args, **kwargs)
        if not len(self.dataloader):
            raise ValueError(f'the {len(self.dataloader.dataset)} samples of train_dataloader make no whole batch, and '
                             'drop_last=True leaves out all others; set a smaller train_dataloader.batch_size')

    def _is_validation_due(self) -> bool:
        return self.runner.val_loop is not None and self._epoch >= self.val_begin and (
            self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs)

    def run(self) -> nn.Module:
        """Train."""
        self.runner.call_hook('before_train')
        self._begin_anew_if_changed()
        self._decide_current_val_interval()
        if self._is_unvalidated() and self._done() == 0 and self._is_validation_due():
            self._validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if self._is_validation_due():
                self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _begin_anew_if_changed(self) -> None:
        """Begin the epoch anew if the checkpoint is of another number of batches in an epoch."""
        info, batches = self.runner.message_hub.runtime_info, len(self.dataloader)
        former = info.get(BATCHES, batches)
        if former != batches or not 0 <= self._done() <= batches:
            self.runner.logger.warning(f'an epoch has {batches} batches now, and had others before ({self._iter} iterations '
                                       f'in {self._epoch} epochs and a part), so the epoch begins anew')
            self._iter = self._epoch * batches
        self.runner.message_hub.update_info(BATCHES, batches)

    def _done(self) -> int:
        """Finished batches of the current epoch."""
        return self._iter - self._epoch * len(self.dataloader)

    def run_epoch(self) -> None:
        """Train for an epoch, or for the rest of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = self._done()
        _set_epoch(self.dataloader, self._epoch)
        _start_at(self.dataloader, done)
        for number, batch in enumerate(self.dataloader, start=done):
            self.run_iter(number, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
