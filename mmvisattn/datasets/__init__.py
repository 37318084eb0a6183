"""Data sets for mmseg that it does not have itself; without mmseg, building one says how to install it."""
from mmvisattn.dependencies import installed
from mmvisattn.registry import DATASETS, register_missing

if installed('mmseg'):
    from .segmentation import CamVidDataset, MiniatureDataset  # noqa: F401
else:
    register_missing(DATASETS, 'CamVidDataset', 'mmseg')
    register_missing(DATASETS, 'MiniatureDataset', 'mmseg')
