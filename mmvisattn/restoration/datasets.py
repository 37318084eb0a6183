"""Data sets of degraded and clean images, and their transforms."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.structures import BaseDataElement

from mmvisattn.registry import DATASETS, TRANSFORMS
from mmvisattn.restoration.pictures import as_channels, image_files, read_picture


def _indices(path: Path) -> set[int]:
    if not path.is_file():
        raise FileNotFoundError(f'there is no list of indices {path}; subsets={{}} in the config does without')
    return {int(index) for index in np.load(path).ravel()}


def _from_zero(subsets: dict[str, set[int]], images: int) -> dict[str, set[int]]:
    """Indices that count from 0, of files that count from 0 or from 1.

    Raises:
        ValueError: if they fit so many images neither way.
    """
    every = set().union(*subsets.values())
    first = int(images in every and 0 not in every)
    if every - set(range(first, first + images)):
        raise ValueError(f'subsets: the indices {min(every)} to {max(every)} do not fit {images} images')
    return {name: {index - first for index in indices} for name, indices in subsets.items()}


@DATASETS.register_module()
class CleanImageDataset(BaseDataset):
    """A folder of clean images, to be degraded by a transform such as ``AddGaussianNoise``.

    Args:
        data_root: a folder.
        data_prefix: ``clean``: the folder of images in it.
        pipeline: transforms, ``LoadImages`` first.
        test_set: name of this test set in logs and tables, for a list of several; None: no name.
        subsets: name of a part of the test set to a ``.npy`` file, in ``data_root``, with the indices of its images in the
            order of their names. They count from 1 if 0 is in none of the files, and the number of images is in one.
        kwargs: arguments of mmengine's ``BaseDataset``.

    An index may also be (index, patch size), as from ``ProgressiveBatchSampler``; ``RandomPatch`` uses that size.
    """

    METAINFO = dict(dataset_type='restoration')

    def __init__(self, data_root: str, data_prefix: dict, pipeline: Sequence[dict], test_set: str | None = None,
                 subsets: dict[str, str] | None = None, **kwargs):
        self.test_set = test_set
        self.subsets = {name: _indices(Path(data_root) / path) for name, path in (subsets or {}).items()}
        # The data set is what the folders contain, so there is no annotation file.
        super().__init__(ann_file='', data_root=data_root, data_prefix=data_prefix, pipeline=pipeline, **kwargs)

    def load_data_list(self) -> list[dict]:
        return [dict(clean=[str(path)]) for path in image_files(Path(self.data_prefix['clean']))]

    def filter_data(self) -> list[dict]:  # mmengine calls it as soon as the number of images is known
        self.subsets = _from_zero(self.subsets, len(self.data_list))
        return self.data_list

    def prepare_data(self, idx: int | tuple[int, int]) -> dict:
        index, patch_size = idx if isinstance(idx, tuple) else (idx, None)
        subsets = [name for name, indices in self.subsets.items() if index in indices]
        return self.pipeline(dict(self.get_data_info(index), patch_size=patch_size, test_set=self.test_set, subsets=subsets))


@DATASETS.register_module()
class PairedImageDataset(CleanImageDataset):
    """Folders of degraded and of clean images with equal names (except for the suffix).

    Args:
        data_prefix: ``clean`` and ``degraded``: the folders. With more folders, such as ``degraded_right`` for the second
            view of a dual-pixel sensor, the degraded images are concatenated on channels.

    Raises:
        FileNotFoundError: if a folder is empty, or lacks an image that another folder has.
    """

    def load_data_list(self) -> list[dict]:
        by_name = {name: {path.stem: path for path in image_files(Path(folder))}
                   for name, folder in self.data_prefix.items()}
        for name, files in by_name.items():
            if lacking := sorted(set().union(*by_name.values()) - set(files)):
                raise FileNotFoundError(f'{self.data_prefix[name]} lacks {len(lacking)} images that other folders have, '
                                        f'such as {lacking[0]}')
        degraded = [files for name, files in sorted(by_name.items()) if name != 'clean']
        return [dict(clean=[str(path)], degraded=[str(files[stem]) for files in degraded])
                for stem, path in by_name['clean'].items()]


@TRANSFORMS.register_module()
class LoadImages(BaseTransform):
    """Read the files of a pair as float32 (H, W, C) of 0 to 1; without a degraded file, the clean image is used for both.

    Args:
        channels: 3: RGB; 1: gray.
    """

    def __init__(self, channels: int = 3):
        self.channels = channels

    def _read(self, paths: Sequence[str]) -> np.ndarray:
        return np.concatenate(
            [as_channels(read_picture(Path(path)).pixels, self.channels) for path in paths], axis=-1)

    def transform(self, results: dict) -> dict:
        paths = results['clean']
        results.update(img_path=results.get('degraded', paths)[0], clean=self._read(paths))
        results['degraded'] = self._read(results['degraded']) if 'degraded' in results else results['clean']
        if results['degraded'].shape[:2] != results['clean'].shape[:2]:
            raise ValueError(f'{results["img_path"]} and {paths[0]} differ in size: {results["degraded"].shape[:2]} and '
                             f'{results["clean"].shape[:2]}')
        return results


@TRANSFORMS.register_module()
class RandomPatch(BaseTransform):
    """Cut the same random square out of both images; smaller images are reflected at the bottom and right first.

    Args:
        size: side of the square in pixels, unless ``ProgressiveBatchSampler`` sets another.
    """

    def __init__(self, size: int):
        self.size = size

    def transform(self, results: dict) -> dict:
        size = results['patch_size'] or self.size
        height, width = results['clean'].shape[:2]
        down, right = max(0, size - height), max(0, size - width)
        top, left = (np.random.randint(max(side, size) - size + 1) for side in (height, width))
        for name in ('degraded', 'clean'):
            image = np.pad(results[name], ((0, down), (0, right), (0, 0)), mode='symmetric')
            results[name] = image[top:top + size, left:left + size]
        return results


@TRANSFORMS.register_module()
class RandomFlipRotate(BaseTransform):
    """Apply the same random flip and rotation to both images: one of the eight symmetries of a square."""

    def transform(self, results: dict) -> dict:
        turns, flips = np.random.randint(4), np.random.randint(2)
        for name in ('degraded', 'clean'):
            image = np.rot90(results[name], turns)
            results[name] = image[:, ::-1] if flips else image
        return results


@TRANSFORMS.register_module()
class PackRestoration(BaseTransform):
    """Pack ``inputs``, the degraded image (C, H, W), and ``data_samples``, with the clean image if there is one, and where
    the image comes from."""

    def transform(self, results: dict) -> dict:
        images = {name: torch.from_numpy(np.ascontiguousarray(results[name].transpose(2, 0, 1)))
                  for name in ('degraded', 'clean') if name in results}
        sample = BaseDataElement(metainfo={
            key: results[key] for key in ('img_path', 'test_set', 'subsets', 'sample_idx', 'block') if key in results})
        if 'clean' in images:
            sample.clean = images['clean']
        return dict(inputs=images['degraded'], data_samples=sample)
