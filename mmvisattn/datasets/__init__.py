"""Data sets that mmseg and mmdet do not have themselves. If the package that one needs is missing, building it raises an
ImportError with the command that installs it."""
from mmvisattn.dependencies import lacking
from mmvisattn.registry import DATASETS, register_missing

if missing := lacking('mmseg'):
    register_missing(DATASETS, 'CamVidDataset', missing)
    register_missing(DATASETS, 'MiniatureDataset', missing)
else:
    from .segmentation import CamVidDataset, MiniatureDataset  # noqa: F401

if missing := lacking('mmdet'):
    register_missing(DATASETS, 'BloodCellDataset', missing)
    register_missing(DATASETS, 'MiniatureCocoDataset', missing)
else:
    from .detection import BloodCellDataset, MiniatureCocoDataset  # noqa: F401
