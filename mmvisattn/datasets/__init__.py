"""Data sets that mmseg and mmdet do not have themselves. If the package that one needs is missing, building it raises an
ImportError with the command that installs it."""
from mmvisattn.dependencies import installed
from mmvisattn.registry import DATASETS, register_missing

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
