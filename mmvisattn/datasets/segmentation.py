"""Semantic segmentation data sets in ADE20K's layout: label 0 is unlabelled, and 1 is the first class."""
from mmseg.datasets import BaseSegDataset

from mmvisattn.registry import DATASETS

from . import miniature


class ADELayoutDataset(BaseSegDataset):
    """Images ``*.jpg``, labels ``*.png`` of the same name, label 0 unlabelled."""

    def __init__(self, img_suffix: str = '.jpg', seg_map_suffix: str = '.png', reduce_zero_label: bool = True, **kwargs):
        super().__init__(
            img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, reduce_zero_label=reduce_zero_label, **kwargs)


@DATASETS.register_module()
class MiniatureDataset(ADELayoutDataset):
    """The generated data set of ``tools/make_miniature.py``."""

    METAINFO = dict(classes=miniature.CLASSES, palette=miniature.PALETTE)


@DATASETS.register_module()
class CamVidDataset(ADELayoutDataset):
    """CamVid road scenes with the usual 11 classes (Brostow et al., 2009), laid out as ADE20K."""

    METAINFO = dict(
        classes=('sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign symbol', 'fence', 'car', 'pedestrian',
                 'bicyclist'),
        palette=[[128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222], [128, 128, 0],
                 [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0], [0, 128, 192]])
