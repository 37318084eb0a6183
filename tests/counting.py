"""Parameters and multiply-adds of whole models, counted as the papers' authors count them.

Counted are convolutions, linear layers and attention's two products, padded tokens included; of detectors, the heads on all
levels of the pyramid, 1000 proposals through each box head and 100 through each mask head; of segmentors, no auxiliary head.
"""
import math

import torch
from mmengine.registry import MODELS
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmvisattn.layers import Grouping
from mmvisattn.models.backbones import CrossFormer

SIZES = dict(mmseg=(1024, 1024), mmdet=(800, 1280))


def macs_on_padding(model: CrossFormer, height: int, width: int) -> int:
    """What the released code spends on padding maps to whole groups; here none is padded."""
    total = 0
    for i, (stage, dims) in enumerate(zip(model.stages, model.out_channels)):
        rows, cols = (math.ceil(side / 2**(i + 2)) for side in (height, width))
        for block in stage.blocks:
            group_rows, group_cols, interval = block.kind(rows, cols)
            padded = math.prod(math.ceil(side / (group * interval)) * group * interval
                               for side, group in ((rows, group_rows), (cols, group_cols)))
            regions = Grouping.of(rows, cols, group_rows, group_cols, interval, torch.device('cpu')).regions
            pairs = sum(len(region.index) * region.rows * region.cols for region in regions)
            total += (padded - rows * cols) * 4 * dims**2 + (padded * group_rows * group_cols - pairs) * 2 * dims
    return total


def run(model: nn.Module, height: int, width: int) -> None:
    """One pass of an image through everything that counts."""
    x = model.backbone(torch.empty(1, model.backbone_channels, height, width, device='meta'))
    x = model.neck(x) if getattr(model, 'neck', None) is not None else x
    for head in (getattr(model, name, None) for name in ('decode_head', 'bbox_head', 'rpn_head')):
        if head is not None and type(head).__name__ != 'EmbeddingRPNHead':
            head(x)
    heads = getattr(model, 'roi_head', None)
    if heads is None:
        return
    boxes, masks = (head if isinstance(head, nn.ModuleList) else [head] if head is not None else []
                    for head in (heads.bbox_head, getattr(heads, 'mask_head', None)))
    for head in boxes:
        if type(head).__name__ == 'DIIHead':
            proposals = 300
            head(torch.empty(proposals, 256, 7, 7, device='meta'), torch.empty(1, proposals, 256, device='meta'))
        else:
            head(torch.empty(1000, 256, 7, 7, device='meta'))
    for head in masks:
        head(torch.empty(100, 256, 14, 14, device='meta'))


def counted(cfg: dict, height: int, width: int) -> tuple[float, float]:
    """Millions of parameters, and billions of multiply-adds for an image of the given size."""
    model = MODELS.build(cfg).eval()
    parameters = sum(p.numel() for p in model.parameters())
    model.backbone_channels = 3
    padding = macs_on_padding(model.backbone, height, width) if isinstance(model.backbone, CrossFormer) else 0
    model.to('meta')
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        run(model, height, width)
    return parameters / 1e6, (counter.get_total_flops() / 2 + padding) / 1e9
