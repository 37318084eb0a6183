"""Real noise of cameras, as SIDD and DND give it: blocks in ``.mat`` files, and submissions in the same form."""
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric

from mmvisattn.files import written_whole
from mmvisattn.registry import DATASETS, METRICS

from .datasets import CleanImageDataset

BOXES_PER_IMAGE = 20


def matlab() -> Any:
    """``scipy.io``, imported when it is needed: this module is imported for data sets of any kind."""
    from scipy import io
    return io


def _array_in(path: Path) -> tuple[str, tuple[int, ...]]:
    """Name and shape of the one array in a ``.mat`` file.

    Raises:
        ValueError: if it is no such file.
    """
    try:
        (name, shape, _), = matlab().whosmat(str(path))
    except (ValueError, NotImplementedError, TypeError) as error:
        raise ValueError(f'{path} is no .mat file with one array: {error}') from error
    return name, shape


@cache
def _blocks(path: Path) -> np.ndarray:
    try:
        return matlab().loadmat(str(path))[_array_in(path)[0]]
    except (OSError, ValueError, zlib.error) as error:
        raise ValueError(f'{path} is damaged: {error}') from error


@DATASETS.register_module()
class SIDDBlocks(CleanImageDataset):
    """SIDD's validation: two ``.mat`` files with an array (images, blocks, H, W, 3) of uint8 each.

    Args:
        data_prefix: ``degraded`` and ``clean``: the files; without ``clean`` there is nothing to compare with.

    Raises:
        ValueError: if the files hold arrays of different or other shapes.
    """

    def load_data_list(self) -> list[dict]:
        paths = {name: Path(path) for name, path in self.data_prefix.items()}
        shapes = {_array_in(path)[1] for path in paths.values()}
        shape = shapes.pop()
        if shapes or len(shape) != 5:
            raise ValueError(f'{" and ".join(map(str, paths.values()))} must hold arrays (images, blocks, H, W, 3) of equal '
                             'shape')
        return [dict(paths, block=(i, j)) for i in range(shape[0]) for j in range(shape[1])]

    def prepare_data(self, idx: Any) -> dict:
        info = self.get_data_info(idx)
        block = info['block']
        images = {name: _blocks(info[name])[block].astype(np.float32) / 255 for name in self.data_prefix}
        return self.pipeline(dict(
            images, sample_idx=idx, test_set=self.test_set, block=block, img_path=str(info['degraded'])))


def h5py() -> Any:
    """The package, which only DND's files need.

    Raises:
        ImportError: with the command that installs it.
    """
    try:
        import h5py as package
    except ImportError as error:
        raise ImportError("DND's files are HDF5: pip install h5py") from error
    return package


@DATASETS.register_module()
class DNDBoxes(CleanImageDataset):
    """DND: 20 boxes in each of the noisy images ``0001.mat``, …, which ``info.mat`` names; there is no clean image.

    Args:
        data_prefix: ``info``: the file with the boxes; ``degraded``: the folder of images.
    """

    def _image(self, index: int) -> Path:
        return Path(self.data_prefix['degraded']) / f'{index + 1:04d}.mat'

    def load_data_list(self) -> list[dict]:
        with h5py().File(self.data_prefix['info'], 'r') as file:
            info = file['info']
            boxes = [np.array(file[reference]).T for reference in np.ravel(info['boundingboxes'])]
        if lacking := [path for i in range(len(boxes)) if not (path := self._image(i)).is_file()]:
            raise FileNotFoundError(f'there is no {lacking[0]}, of which {self.data_prefix["info"]} has boxes')
        # One-based and inclusive: top, left, bottom, right.
        return [dict(img_path=str(self._image(i)), block=(i, k),
                     box=[int(box[k, 0]) - 1, int(box[k, 2]), int(box[k, 1]) - 1, int(box[k, 3])])
                for i, box in enumerate(boxes) for k in range(BOXES_PER_IMAGE)]

    def prepare_data(self, idx: Any) -> dict:
        info = self.get_data_info(idx)
        top, bottom, left, right = info['box']
        with h5py().File(info['img_path'], 'r') as file:  # MATLAB's arrays come transposed
            image = np.asarray(file['InoisySRGB'][:, left:right, top:bottom], np.float32).T
        return self.pipeline(dict(degraded=image, sample_idx=idx, test_set=self.test_set, block=info['block'],
                                  img_path=info['img_path']))


def _pixels(sample: dict) -> np.ndarray:
    return sample['restored'].detach().cpu().float().permute(1, 2, 0).numpy()


class Submission(BaseMetric):
    """Writes what was restored, and scores nothing.

    Args:
        test_set: the test set whose images are written.
        out_dir: the folder to write to (``tools/test.py --out``); None: nothing is written.
    """

    def __init__(self, test_set: str, out_dir: str | None = None, collect_device: str = 'cpu', prefix: str | None = None):
        super().__init__(collect_device, prefix)
        self.test_set = test_set
        self.writes = out_dir is not None
        self.out_dir = Path(out_dir or '')

    def save(self, sample: dict) -> Any:
        """What to keep of a restored image."""
        raise NotImplementedError

    def finish(self, results: list) -> None:
        """Write what was kept of all images."""
        raise NotImplementedError

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        if self.writes:
            self.results += [self.save(sample) for sample in data_samples if sample.get('test_set') == self.test_set]

    def compute_metrics(self, results: list) -> dict[str, float]:
        if self.writes and results and is_main_process():
            self.finish(results)
        return {}


@METRICS.register_module()
class SIDDSubmission(Submission):
    """Writes ``Idenoised.mat``: the restored blocks (images, blocks, H, W, 3), unrounded, float32 of 0 to 1."""

    def save(self, sample: dict) -> tuple[tuple[int, int], np.ndarray]:
        return tuple(sample['block']), _pixels(sample)

    def finish(self, results: list) -> None:
        last = max(block for block, _ in results)
        blocks = np.zeros((last[0] + 1, last[1] + 1, *results[0][1].shape), np.float32)
        for block, pixels in results:
            blocks[block] = pixels
        with written_whole(self.out_dir / 'Idenoised.mat') as path:
            matlab().savemat(str(path), dict(Idenoised=blocks))


@METRICS.register_module()
class DNDSubmission(Submission):
    """Writes ``0001.mat``, …: the restored boxes of an image as cells, and what DND's server expects beside them."""

    def save(self, sample: dict) -> tuple[int, int]:
        image, box = sample['block']
        with written_whole(self._box(image, box)) as path:
            matlab().savemat(str(path), dict(Idenoised_crop=_pixels(sample)))
        return image, box

    def _box(self, image: int, box: int) -> Path:
        return self.out_dir / 'boxes' / f'{image + 1:04d}_{box + 1:02d}.mat'

    def finish(self, results: list) -> None:
        for image in sorted({image for image, _ in results}):
            cells = np.empty((1, BOXES_PER_IMAGE), dtype=object)
            for _, box in (result for result in results if result[0] == image):
                cells[0, box] = matlab().loadmat(str(self._box(image, box)))['Idenoised_crop']
            with written_whole(self.out_dir / f'{image + 1:04d}.mat') as path:
                matlab().savemat(str(path), dict(Idenoised=cells, israw=False, eval_version='1.0'))
