"""Data sets that mmseg does not have itself, and those of image restoration; without the package that one needs, building
it says how to install it."""
from mmvisattn.dependencies import installed
from mmvisattn.registry import DATASETS, register_missing

from . import restoration  # noqa: F401

if installed('mmseg'):
    from .segmentation import CamVidDataset, MiniatureDataset  # noqa: F401
else:
    register_missing(DATASETS, 'CamVidDataset', 'mmseg')
    register_missing(DATASETS, 'MiniatureDataset', 'mmseg')

if installed('mmdet'):
    from .detection import BloodCellDataset, MiniatureCocoDataset  # noqa: F401
else:
    register_missing(DATASETS, 'BloodCellDataset', 'mmdet')
    register_missing(DATASETS, 'MiniatureCocoDataset', 'mmdet')
