"""Whether the files of a sample can be used, for each kind of data set."""
from pathlib import Path
from typing import Any

import numpy as np

from .files import BadFile, check_sizes, check_values, image_size, read_labels

IGNORED = 255


def files_of(info: dict) -> list[str]:
    """The files of a sample, from its entry in a data set (``get_data_info``)."""
    listed = [info.get('img_path'), info.get('seg_map_path'), *info.get('clean', ()), *info.get('degraded', ())]
    return [str(path) for path in listed if path]


def num_labels(info: dict, classes: int) -> int:
    """How many labels may stand in the label image of a sample: 0 is one more if it is left out."""
    known = info.get('label_map')
    return (max(known) + 1 if known else classes) + bool(info.get('reduce_zero_label'))


def _check_segmentation(info: dict, classes: int, thorough: bool) -> np.ndarray | None:
    """Counts of the labels, if they are read."""
    image, labels = info['img_path'], info['seg_map_path']
    size = image_size(image, thorough)
    own_size, values = read_labels(labels, thorough)
    check_sizes([image, labels], [size, own_size])
    if values is None:
        return None
    counts = check_values(labels, values, num_labels(info, classes), IGNORED)
    used = counts[1 if info.get('reduce_zero_label') else 0:IGNORED]
    if not used.any():
        raise BadFile(f'{labels} labels no pixel')
    return used


def check_sample(info: dict, classes: int = 0, thorough: bool = False) -> np.ndarray | None:
    """Check the files of a sample.

    Args:
        info: its entry in a data set: ``img_path`` with ``seg_map_path`` (segmentation) or ``height`` and ``width``
            (detection), or lists ``clean`` and ``degraded`` (restoration).
        classes: their number, if there are labels.
        thorough: read the files completely. Otherwise only their headers, and whether their ends are there.

    Returns:
        For segmentation, if thorough, how many pixels have each label, without those that are left out.

    Raises:
        BadFile: naming the file.
    """
    if info.get('seg_map_path') and 'instances' not in info:
        return _check_segmentation(info, classes, thorough)
    paths = files_of(info)
    sizes = [image_size(path, thorough) for path in paths]
    annotated = info.get('height'), info.get('width')
    if 'instances' in info and None not in annotated and sizes[0] and sizes[0] != annotated:
        raise BadFile(f'{paths[0]} has {sizes[0][1]} x {sizes[0][0]} pixels as it is loaded (turned if its EXIF data says '
                      f'so), but the annotations say {info["width"]} x {info["height"]}')
    check_sizes(paths, sizes)
    return None


def labels_nothing(info: dict) -> bool:
    """Whether all pixels of a label image are left out."""
    _, values = read_labels(info['seg_map_path'])
    left_out = (0, IGNORED) if info.get('reduce_zero_label') else (IGNORED,)
    return values is not None and bool(np.isin(values, left_out).all())


def unused_labels(dataset: Any) -> list[Path]:
    """Label images in the folder of a segmentation data set that belong to no image."""
    folder = (getattr(dataset, 'data_prefix', None) or {}).get('seg_map_path')
    suffix = getattr(dataset, 'seg_map_suffix', None)
    if not folder or not suffix or not Path(folder).is_dir() or getattr(dataset, 'ann_file', None):
        return []
    used = {Path(dataset.get_data_info(i)['seg_map_path']) for i in range(len(dataset))}
    return sorted(path for path in Path(folder).rglob(f'*{suffix}') if path not in used)


def why_empty(dataset: Any) -> str:
    """For a data set without samples: what its folder holds instead of files with its suffix, or what left all out."""
    folder = (getattr(dataset, 'data_prefix', None) or {}).get('img_path')
    suffix = getattr(dataset, 'img_suffix', None)
    if not folder or not suffix:
        return f'{getattr(dataset, "ann_file", "") or type(dataset).__name__}: no sample is left; see filter_cfg'
    others = sorted({f'*{path.suffix}' for path in Path(folder).rglob('*') if path.is_file()})
    return f'{folder} holds no file *{suffix}' + (f', but {", ".join(others[:5])}: set img_suffix' if others else '')
