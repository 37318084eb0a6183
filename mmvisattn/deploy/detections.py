"""One-stage detectors of mmdet with decoding and non-maximum suppression (NMS) in standard operators.

The steps are those of mmdet's ``BaseDenseHead.predict_by_feat``
(https://github.com/open-mmlab/mmdetection/blob/main/mmdet/models/dense_heads/base_dense_head.py), in a form whose shapes do
not depend on the image: candidates below the score threshold stay and get the score 0, and the result is filled up.
"""
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS = ('RetinaHead', 'ATSSHead', 'FCOSHead')
NO_LABEL = -1


def check_head(model: Any, output: str) -> None:
    """Fail for a detector that has another head than these, or whose head ``Detections`` cannot decode.

    Raises:
        ValueError: naming those that can be exported.
    """
    kind = type(getattr(model, 'bbox_head', None)).__name__
    nms = (getattr(model, 'test_cfg', None) or {}).get('nms', {})
    if kind not in HEADS:
        raise ValueError(f'a detector of the class {type(model).__name__} cannot be exported: only one-stage detectors with '
                         f'{", ".join(HEADS)}')
    if output == 'raw':
        return
    if not model.bbox_head.use_sigmoid_cls:
        raise ValueError('the detector has scores by softmax (loss_cls.use_sigmoid=False), which are not decoded; '
                         'give --output raw')
    if nms.get('type') != 'nms' or nms.get('class_agnostic'):
        raise ValueError(f"the detector has test_cfg.nms={nms}: only dict(type='nms', iou_threshold=…) can be "
                         'exported; give --output raw')
    if (model.test_cfg.get('max_per_img') or -1) < 1:
        raise ValueError(f"the detector has test_cfg.max_per_img={model.test_cfg.get('max_per_img')}: a file finds a "
                         'certain number of objects; set it in the config, or give --output raw')


def raw_names(model: Any) -> tuple[str, ...]:
    """Names of the outputs of a detector's head: level by level, strides from small to large."""
    levels = len(model.bbox_head.prior_generator.strides)
    kinds = ['scores', 'boxes'] if type(model.bbox_head).__name__ == 'RetinaHead' else ['scores', 'boxes', 'centerness']
    return tuple(f'{kind}_{level}' for kind in kinds for level in range(levels))


def pad_to_divisor(x: Tensor, divisor: int) -> Tensor:
    """Pad with zeros at the bottom and right, as mmdet's data preprocessor does."""
    height, width = x.shape[-2:]
    down, right = ((side + divisor - 1) // divisor * divisor - side for side in (height, width))
    return F.pad(x, (0, right, 0, down))


def suppressed(boxes: Tensor, scores: Tensor, threshold: float, number: int) -> Tensor:
    """Indices of the boxes (N, 4) of positive score that NMS keeps, the highest score first, at most ``number``.

    In a program it is ONNX's operator (https://onnx.ai/onnx/operators/onnx__NonMaxSuppression.html), because PyTorch has
    none. The program takes the result for ``number`` boxes; it may be fewer.
    """
    if not torch.compiler.is_compiling():
        from mmcv.ops import nms
        return nms(boxes, scores, threshold, score_threshold=0, max_num=number)[1]
    chosen = torch.onnx.ops.symbolic(
        'NonMaxSuppression',
        (boxes[None], scores[None, None], torch.tensor([number]), torch.tensor([threshold]), torch.tensor([0.0])),
        dtype=torch.int64, shape=(number, 3), version=17)
    return chosen[:, 2]


class RawDetections(nn.Module):
    """The maps of a detector's head: class scores (logits), boxes as offsets, and centerness (logits) if there is one."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model
        self.divisor = model.data_preprocessor.pad_size_divisor

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.model(pad_to_divisor(x, self.divisor), mode='tensor')
        return tuple(one for kind in maps for one in kind)


class Detections(RawDetections):
    """Boxes, scores and labels of one image.

    Shape:
        (1, 3, H, W) to boxes (N, 4): x1, y1, x2, y2 in pixels, scores (N,) and labels (N,), the highest score first. N is
        ``max_per_img`` of the config; where fewer objects are found, the rest has score 0 and label -1.
    """

    def candidates(self, scores: Tensor, boxes: Tensor, factors: Tensor | None, priors: Tensor) -> tuple[Tensor, ...]:
        """The best of one level: (scores, labels, boxes as offsets, priors), each of the same length."""
        config, head = self.model.test_cfg, self.model.bbox_head
        likely = scores[0].permute(1, 2, 0).reshape(-1, head.cls_out_channels).float().sigmoid()
        likely = torch.where(likely > config.score_thr, likely, 0).flatten()
        best, index = likely.topk(self.number_of_candidates(likely.shape[0]))
        place, label = index // head.cls_out_channels, index % head.cls_out_channels
        if factors is not None:
            best = best * factors[0].permute(1, 2, 0).reshape(-1).float().sigmoid()[place]
        offsets = boxes[0].permute(1, 2, 0).reshape(-1, 4).float()
        return best, label, offsets[place], priors[place]

    def number_of_candidates(self, available: int) -> int:
        wanted = self.model.test_cfg.get('nms_pre', -1)
        return min(wanted, available) if wanted > 0 else available

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        config, head = self.model.test_cfg, self.model.bbox_head
        kinds: Sequence[Any] = self.model(pad_to_divisor(x, self.divisor), mode='tensor')
        levels = list(zip(*kinds))
        priors = head.prior_generator.grid_priors([level[0].shape[-2:] for level in levels], torch.float32, x.device)
        found = [self.candidates(level[0], level[1], level[2] if len(level) > 2 else None, prior)
                 for level, prior in zip(levels, priors)]
        scores, labels, offsets, priors = (torch.cat(part) for part in zip(*found))
        boxes = head.bbox_coder.decode(priors, offsets)
        sides = torch.tensor([x.shape[-1], x.shape[-2]] * 2, dtype=boxes.dtype)
        boxes = torch.minimum(boxes.clamp(min=0), sides)
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        smallest = config.get('min_bbox_size', -1)
        scores = torch.where((width > smallest) & (height > smallest), scores, 0)
        # Boxes of different classes are moved apart, so that they do not suppress each other.
        apart = boxes + (labels * (sides.max() + 1))[:, None]
        number = config.max_per_img
        kept = suppressed(apart, scores, config.nms.iou_threshold, number)
        kept = torch.cat([kept, kept.new_full((number,), scores.shape[0])])[:number]  # fewer may be found: fill up
        scores = torch.cat([scores, scores.new_zeros(1)])[kept]
        is_found = scores > 0
        boxes = torch.where(is_found[:, None], torch.cat([boxes, boxes.new_zeros(1, 4)])[kept], 0)
        labels = torch.where(is_found, torch.cat([labels, labels.new_zeros(1)])[kept], NO_LABEL)
        return boxes, scores, labels.int()
