"""Data that is looked at before it is trained on: what is broken stops the training with its name, or is replaced."""
import logging
from collections import Counter
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmvisattn.datasets.files import BadFile
from mmvisattn.datasets.samples import IGNORED, check_sample, files_of, labels_nothing, unused_labels, why_empty
from mmvisattn.registry import DATASETS, HOOKS

from .preemption import ignore_in_workers

UNLABELLED = 50  # so many samples in a row without a label stop the training


def message(error: BaseException) -> str:
    """What a ``BadFile`` says, also of one that a worker of a data loader raised, whose traceback comes with it."""
    return str(error).rpartition('BadFile: ')[2].strip()


def built_dataset(config: dict) -> Any:
    """A data set of a config.

    Raises:
        BadFile: if it has no sample; numpy has nothing to concatenate then.
    """
    try:
        return MMENGINE_DATASETS.build(config)
    except ValueError as error:
        if 'need at least one array' not in str(error):
            raise
        raise BadFile(why_empty(MMENGINE_DATASETS.build(dict(config, lazy_init=True)))) from error


def _loads_files(dataset: Any) -> bool:
    """Whether the transforms of a data set, which may be wrapped, read local files as mmcv, mmseg and this package do."""
    inner = [*(getattr(dataset, 'datasets', None) or [])[:1], vars(dataset).get('dataset')]
    if inner[0] is not None:
        return _loads_files(inner[0])
    names = {type(transform).__name__ for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', ())}
    loads_labels = 'LoadAnnotations' in names or 'seg_map_path' not in (getattr(dataset, 'data_prefix', None) or {})
    is_local = not getattr(dataset, 'backend_args', None)
    return is_local and loads_labels and bool(names & {'LoadImageFromFile', 'LoadImages'})


@DATASETS.register_module()
class CheckedDataset(Dataset):
    """A data set whose broken samples are reported with the names of their files.

    Files on a local disk that the usual transforms of the mm packages load are looked at when they are first used: they must
    be there and complete, image and labels must have one size, and labels one channel and no value beyond the classes. What
    transforms raise is a fault of the sample, too.
    Workers of data loaders that use it ignore the signals of ``PreemptionHook``, which tell the training to save first.

    Args:
        dataset: the data set, or its config.
        skip: number of broken samples to replace by the next good one each; from then on they stop the training.

    Raises:
        BadFile: if there is no sample at all; on access, naming the files of the sample.
    """

    def __init__(self, dataset: Any, skip: int = 0):
        self.dataset = built_dataset(dataset) if isinstance(dataset, dict) else dataset
        self.skip = skip
        self.is_checked = _loads_files(self.dataset)
        if self.is_checked and (unused := unused_labels(self.dataset)):
            print_log(f'{len(unused)} label images belong to no image, such as {unused[0]}', logger='current',
                      level=logging.WARNING)
        self.classes = len((getattr(self.dataset, 'metainfo', None) or {}).get('classes') or ())
        self.good = np.zeros(len(self.dataset), bool)
        # In memory that all workers share.
        self.bad = torch.zeros(len(self.dataset), dtype=torch.bool).share_memory_()
        self.unlabelled = 0

    def _look(self, index: int) -> dict:
        """Check the files of a sample, unless that was done before."""
        info = self.dataset.get_data_info(index) if hasattr(self.dataset, 'get_data_info') else {}
        if self.is_checked and not self.good[index]:
            check_sample(info, self.classes)
            self.good[index] = True
        return info

    def _check_labels(self, sample: Any, info: dict) -> None:
        data = getattr(sample.get('data_samples'), 'gt_sem_seg', None) if isinstance(sample, dict) else None
        if data is None or not self.classes or not self.is_checked or 'instances' in info:  # which can have other classes
            return
        labels = data.data
        used = labels != getattr(self.dataset, 'ignore_index', IGNORED)
        if bool(((labels >= self.classes) & used).any()):
            wrong = sorted(set(labels[(labels >= self.classes) & used].tolist()))
            wrong = [label + bool(info.get('reduce_zero_label')) for label in wrong]  # as they stand in the file
            raise BadFile(f'{info["seg_map_path"]} has the labels {", ".join(map(str, wrong[:8]))}, but there are only '
                          f'{self.classes} classes')
        self.unlabelled = 0 if bool(used.any()) else self.unlabelled + 1
        if self.unlabelled and self.is_checked and labels_nothing(info):
            text = f'{info["seg_map_path"]} labels no pixel'
            if self.unlabelled >= UNLABELLED:
                raise BadFile(f'{text}, as the {UNLABELLED - 1} samples before it')
            print_log(f'{text}: nothing is learned from it', logger='current', level=logging.WARNING)

    def _sample(self, key: Any, index: int) -> Any:
        files = ''
        try:
            info = self._look(index)
            files = ' with '.join(files_of(info))
            sample = self.dataset[key]
            self._check_labels(sample, info)
            return sample
        except BadFile:
            raise
        except Exception as error:  # transforms may raise anything
            reason = ' '.join(str(error).split()) or 'no reason is given'
            raise BadFile(f'{files or f"sample {index}"} cannot be used: {type(error).__name__}: {reason}') from error

    def __getitem__(self, key: Any) -> Any:
        ignore_in_workers()
        index, *patch = key if isinstance(key, tuple) else (key,)
        for offset in range(len(self)):
            other = (index + offset) % len(self)
            try:
                return self._sample((other, *patch) if patch else other, other)
            except BadFile as error:
                is_new = not self.bad[other]
                self.bad[other] = True
                if int(self.bad.sum()) > self.skip:
                    raise
                if is_new:
                    print_log(f'replaced by the next one: {error}', logger='current', level=logging.WARNING)
        raise BadFile(f'none of the {len(self)} samples can be used')

    def replaced(self) -> list[str]:
        """The first file of each sample that was replaced, in any worker of this process."""
        return [files_of(self.dataset.get_data_info(index))[0] for index in torch.nonzero(self.bad).flatten().tolist()]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset':  # not there yet, as while it is unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)


@HOOKS.register_module()
class ReplacedSamplesHook(Hook):
    """Tells at the end of a training which samples were replaced, by all processes."""

    def after_train(self, runner: Runner) -> None:
        """Write them into the log."""
        listed = all_gather_object(getattr(runner.train_dataloader.dataset, 'replaced', list)())
        found = sorted(Counter(name for names in listed for name in names))
        if found:
            runner.logger.warning(f'{len(found)} samples could not be used, and were replaced: {", ".join(found)}')
