"""Detection data sets in COCO's layout."""
from mmdet.datasets import CocoDataset

from mmvisattn.registry import DATASETS

from . import miniature


@DATASETS.register_module()
class MiniatureCocoDataset(CocoDataset):
    """The generated data set of ``tools/make_miniature.py --layout coco``: the shapes, without sky and ground."""

    METAINFO = dict(
        classes=tuple(miniature.SHAPES),
        palette=[tuple(color) for color in miniature.PALETTE[-len(miniature.SHAPES):]])


@DATASETS.register_module()
class BloodCellDataset(CocoDataset):
    """Blood cells (BCCD): red cells, white cells, platelets."""

    METAINFO = dict(classes=('RBC', 'WBC', 'Platelets'), palette=[(220, 60, 60), (70, 90, 220), (250, 190, 50)])
