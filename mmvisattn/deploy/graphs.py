"""What is exported: a model with its pre- and postprocessing, as one module of tensors."""
import json
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from mmcv.cnn import fuse_conv_bn
from mmengine.config import Config
from torch import Tensor, nn

from mmvisattn import __version__
from mmvisattn.config import dicts_in, metainfo_of
from mmvisattn.inference.predictor import Predictor
from mmvisattn.inference.results import ClassificationResult, DetectionResult, RestorationResult, Result, SegmentationResult
from mmvisattn.layers import is_exporting
from mmvisattn.models.topformer.semantics_extractor import average_pool

from .detections import Detections, RawDetections, check_head, raw_names

# The outputs of each task; the first is the default.
OUTPUTS = {'classification': ('probabilities',), 'segmentation': ('labels', 'logits'), 'detection': ('detections', 'raw'),
           'restoration': ('restored',), 'backbone': ('maps',)}
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
TASKS: dict[type[Result], str] = {
    ClassificationResult: 'classification', SegmentationResult: 'segmentation', DetectionResult: 'detection',
    RestorationResult: 'restoration'}


class Normalization(nn.Module):
    """Bytes as a decoder gives them to what a network takes: uint8 RGB (B, H, W, 3) to floats (B, 3, H, W).

    Args:
        mean, std: of the network's channels, in units of 0 to 255.
        order: of the network's channels, 'RGB' or 'BGR'.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float], order: str):
        super().__init__()
        self.order = order
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        x = image.permute(0, 3, 1, 2).float()
        return ((x if self.order == 'RGB' else x.flip(1)) - self.mean) / self.std


class Classification(nn.Module):
    """A classifier of mmpretrain: (B, 3, H, W) to the probability of each class (B, classes)."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x, mode='tensor').float().softmax(-1)


class Pooling(nn.Module):
    """``nn.AdaptiveAvgPool2d`` as matrix products, which can be recorded for any size."""

    def __init__(self, size: int | tuple[int, int]):
        super().__init__()
        self.height, self.width = (size, size) if isinstance(size, int) else size

    def forward(self, x: Tensor) -> Tensor:
        return average_pool(x, self.height, self.width)


class Upsampling(nn.Module):
    """mmseg's ``Upsample`` by a whole factor. Of its ``int(side * factor)``, a recorded program keeps only the number."""

    def __init__(self, factor: int, mode: str, align_corners: bool | None):
        super().__init__()
        self.factor, self.mode, self.align_corners = factor, mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        size = [self.factor * side for side in x.shape[-2:]]
        return F.interpolate(x, size, mode=self.mode, align_corners=self.align_corners)


def for_any_size(model: nn.Module) -> None:
    """Replace layers of mmseg's heads (UPerNet's and PSPNet's pooling, FPN's upsampling) that are recorded for one size."""
    from mmseg.models.utils import Upsample
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.AdaptiveAvgPool2d):
                setattr(module, name, Pooling(cast(Any, child.output_size)))
            elif isinstance(child, Upsample) and isinstance(child.scale_factor, float) and child.scale_factor.is_integer():
                setattr(module, name, Upsampling(int(child.scale_factor), child.mode, child.align_corners))


class Segmentation(nn.Module):
    """A segmentor of mmseg with the upsampling to the size of the input, and the choice of the label.

    Shape: (B, 3, H, W) to logits (B, classes, H, W), or labels (B, H, W) of int32.
    """

    def __init__(self, model: Any, labels: bool):
        super().__init__()
        self.model = model
        self.labels = labels

    def forward(self, x: Tensor) -> Tensor:
        logits = F.interpolate(
            self.model(x, mode='tensor').float(), x.shape[-2:], mode='bilinear', align_corners=self.model.align_corners)
        if not self.labels:
            return logits
        # OpenVINO (2026.4) takes six times as long for ONNX's ArgMax as for its TopK.
        return (logits.topk(1, dim=1).indices[:, 0] if is_exporting() else logits.argmax(1)).int()


class Restoration(nn.Module):
    """A restorer: (B, C, H, W) to (B, C', H, W), both from 0 to 1."""

    def __init__(self, model: Any):
        super().__init__()
        self.network = model.backbone

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).float().clamp(0, 1)


class Graph(nn.Module):
    """The whole of what a file computes: preprocessing if it is inside, the network in its precision, the outputs."""

    def __init__(self, normalization: Normalization | None, body: nn.Module):
        super().__init__()
        self.normalization = normalization
        self.body = body

    def half(self) -> 'Graph':
        self.body.half()
        return self

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = image if self.normalization is None else self.normalization(image)
        outputs = self.body(x.to(next(self.body.parameters()).dtype))
        return tuple(one.float() if one.is_floating_point() else one for one in outputs) if isinstance(
            outputs, (tuple, list)) else outputs


@dataclass(frozen=True)
class DeployedModel:
    """A module that can be exported, and what is to be known of it.

    Attributes:
        graph: the module, in eval mode.
        task: a key of ``OUTPUTS``.
        output_names: one per output of the module.
        metadata: the entries in the file's metadata, see ``docs/deployment.md``; every value is JSON.
        fixed_batch: whether a file takes one image at a time only.
    """
    graph: Graph
    task: str
    output_names: tuple[str, ...]
    metadata: dict[str, str]
    fixed_batch: bool

    @property
    def channels(self) -> int:
        return json.loads(self.metadata['channels'])

    @property
    def preprocesses(self) -> bool:
        return self.graph.normalization is not None

    def example(self, batch: int, height: int, width: int) -> Tensor:
        """Random images with edges of all strengths, as the file takes them."""
        noise = torch.rand(batch, self.channels, height, width, generator=torch.Generator().manual_seed(0))
        coarse = F.interpolate(noise[..., ::16, ::16], (height, width), mode='nearest')
        image = (0.8 * coarse + 0.2 * noise).clamp(0, 1)
        if self.preprocesses:
            return (image * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        mean, std = (torch.tensor(json.loads(self.metadata[name])).view(-1, 1, 1) for name in ('mean', 'std'))
        return (image * 255 - mean) / std


def _pipeline(config: Config) -> dict:
    """What a predictor needs of a config: the data set's pipeline and classes, without the paths of its data."""
    dataset = next((part for part in dicts_in(config.test_dataloader.dataset) if 'pipeline' in part), {})
    metainfo = metainfo_of(dataset)
    kept = dict(pipeline=dataset.get('pipeline'),
                metainfo={name: metainfo[name] for name in ('classes', 'palette') if metainfo.get(name)})
    return dict(default_scope=config.get('default_scope'), test_dataloader=dict(dataset=kept),
                model=dict(data_preprocessor=config.model.get('data_preprocessor')))


def _statistics(settings: dict, task: str, channels: int) -> dict[str, Any]:
    """Mean and deviation (in units of 0 to 255) and order of the network's channels."""
    if task == 'restoration':
        return dict(mean=[0.0] * channels, std=[255.0] * channels, order='RGB')
    if task == 'backbone':
        return dict(IMAGENET, order='RGB')
    order = 'RGB' if settings.get('bgr_to_rgb') or settings.get('to_rgb') else 'BGR'  # mmcv reads BGR
    mean, std = settings.get('mean') or [0.0] * channels, settings.get('std') or [1.0] * channels
    return dict(mean=list(mean), std=list(std), order=order)


def _body(model: Any, task: str, output: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The computation from normalized images to outputs, and the names of the outputs."""
    if task == 'classification':
        return Classification(model), (output,)
    if task == 'segmentation':
        if model.decode_head.out_channels < 2:
            raise ValueError('a segmentor with one output channel cannot be exported; give the decode_head two classes')
        if (model.test_cfg or {}).get('mode') == 'slide':
            raise ValueError("the segmentor predicts in windows (test_cfg.mode='slide'), and a file computes whole images: "
                             "give the config model.test_cfg=dict(mode='whole')")
        for_any_size(model)
        return Segmentation(model, output == 'labels'), (output,)
    if task == 'restoration':
        return Restoration(model), (output,)
    if task == 'backbone':
        return model, tuple(f'map_{i}' for i in model.out_indices)
    check_head(model, output)
    return (Detections(model), ('boxes', 'scores', 'labels')) if output == 'detections' else (
        RawDetections(model), raw_names(model))


def deployed_model(loaded: Predictor | nn.Module, output: str | None = None,
                   with_preprocessing: bool = False) -> DeployedModel:
    """The module that is exported for a model.

    Args:
        loaded: what ``mmvisattn.load`` returns.
        output: one of ``OUTPUTS`` of the model's task; None: the first.
        with_preprocessing: the module takes uint8 RGB (B, H, W, 3), and normalizes it.

    Raises:
        ValueError: if the task has no such output, or the model cannot be exported.
    """
    predictor = loaded if isinstance(loaded, Predictor) else None
    task = TASKS[predictor.results] if predictor else 'backbone'
    output = output or OUTPUTS[task][0]
    if output not in OUTPUTS[task]:
        raise ValueError(f'--output {output}: a model for {task} has {" or ".join(OUTPUTS[task])}')
    model: Any = deepcopy(predictor.model if predictor else loaded)
    model.cpu().eval()
    body, names = _body(model, task, output)
    fuse_conv_bn(body)
    settings = predictor.config.model.get('data_preprocessor') or {} if predictor else {}
    channels = model.backbone.in_channels if task == 'restoration' else 3
    if with_preprocessing and channels != 3:
        raise ValueError(f'--with-preprocessing takes RGB images, and the model has in_channels={channels}')
    statistics = _statistics(settings, task, channels)
    metadata = dict(
        statistics, task=task, output=output, channels=channels, version=__version__, outputs=names,
        align_corners=getattr(model, 'align_corners', False), multiple=settings.get('pad_size_divisor', 1),
        preprocessing='inside' if with_preprocessing else 'outside',
        config=_pipeline(predictor.config) if predictor else None)
    return DeployedModel(
        # Without gradients: with them, PyTorch chooses other attention kernels when it converts a program to ONNX.
        Graph(Normalization(**statistics) if with_preprocessing else None, body).eval().requires_grad_(False), task, names,
        {name: json.dumps(value) for name, value in metadata.items()}, fixed_batch=output == 'detections')
