"""Parameters and multiply-adds of whole models, counted as the papers' authors count them.

The multiply-adds are those of convolutions, linear layers and the two products of attention, with padded tokens. Detectors
are counted with the heads on all levels of the pyramid, 1000 proposals through each box head and 100 through each mask head;
segmentors are counted without the auxiliary head.
"""
import math
from dataclasses import dataclass

import torch
from mmcv.cnn import ConvModule
from mmdet.models.layers import DynamicConv
from mmengine.registry import MODELS
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmvisattn.models import CrossFormer
from mmvisattn.models.crossformer.grouping import Grouping
from mmvisattn.models.smt.backbone import GlobalAttention

from .uninitialized import Uninitialized


def macs_on_padding(model: CrossFormer, height: int, width: int) -> int:
    """Multiply-adds of the released code that are due to padding maps to whole groups; here maps are not padded."""
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


def watch(model: nn.Module) -> None:
    """Let modules record the multiply-adds of products of activations, and their elementwise operations."""
    def attention(module, args, output):
        _, dims, height, width = args[0].shape
        module.macs_of_products = 2 * dims * (height * width)**2

    def dynamic_conv(module, args, output):
        module.macs_of_products = 2 * len(args[0]) * 49 * module.in_channels * module.feat_channels

    def norms_and_activations(module, args, output):
        module.elementwise = (2 * module.with_norm + module.with_activation) * output.numel()

    for module in model.modules():
        for kind, hook in ((GlobalAttention, attention), (DynamicConv, dynamic_conv), (ConvModule, norms_and_activations)):
            if isinstance(module, kind):
                module.register_forward_hook(hook)


def run(model: nn.Module, height: int, width: int) -> None:
    """One forward pass of an image through every part that is counted."""
    x = model.backbone(torch.empty(1, 3, height, width, device='meta'))
    x = model.neck(x) if getattr(model, 'neck', None) is not None else x
    for name in ('head', 'decode_head', 'bbox_head', 'rpn_head'):
        head = getattr(model, name, None)
        if head is not None and type(head).__name__ != 'EmbeddingRPNHead':
            head(x)
    heads = getattr(model, 'roi_head', None)
    if heads is None:
        return
    boxes, masks = (head if isinstance(head, nn.ModuleList) else [head] if head is not None else []
                    for head in (heads.bbox_head, getattr(heads, 'mask_head', None)))
    for head in boxes:
        if type(head).__name__ == 'DIIHead':
            head(torch.empty(300, 256, 7, 7, device='meta'), torch.empty(1, 300, 256, device='meta'))
        else:
            head(torch.empty(1000, 256, 7, 7, device='meta'))
    for head in masks:
        head(torch.empty(100, 256, 14, 14, device='meta'))


@dataclass(frozen=True)
class Count:
    """Millions of parameters, and billions of multiply-adds for one image.

    Attributes:
        parameters: of the whole model, auxiliary head included.
        macs: convolutions, linear layers and products of activations, as if maps were padded where the authors pad them.
        products: the part of ``macs`` that is products of activations.
        elementwise: two per element for each norm and one for each activation, which some authors also count.
    """
    parameters: float
    macs: float
    products: float
    elementwise: float


def count(cfg: dict, height: int, width: int) -> Count:
    """Count a model, given by its config, on an image of ``height`` x ``width``."""
    with Uninitialized():
        model = MODELS.build(cfg).eval()
    parameters = sum(p.numel() for p in model.parameters())
    padding = macs_on_padding(model.backbone, height, width) if isinstance(model.backbone, CrossFormer) else 0
    watch(model.to('meta'))
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        run(model, height, width)
    products, elementwise = (sum(getattr(module, name, 0) for module in model.modules())
                             for name in ('macs_of_products', 'elementwise'))
    macs = counter.get_total_flops() / 2 + padding
    return Count(parameters / 1e6, macs / 1e9, products / 1e9, elementwise / 1e9)
