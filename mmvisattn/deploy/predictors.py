"""Predictors for exported files: the same results as those of the PyTorch model."""
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from torch import Tensor, nn

from mmvisattn.inference.predictor import Classifier, Detector, Predictor, Restorer, Segmentor
from mmvisattn.restoration.image_restorer import ImageRestorer
from mmvisattn.without_torchvision import import_mmpretrain

from .runtimes import ExportedFile, open_exported


class ExportedNetwork(nn.Module):
    """An exported file in the place of a network: normalized images (B, C, H, W) to a list of outputs.

    Images that are smaller than what the file takes are padded at the bottom and right, and outputs that are maps are
    cropped.
    """

    def __init__(self, file: ExportedFile):
        super().__init__()
        self.file = file
        self.compute: Callable[[np.ndarray], list[np.ndarray]] = file
        self.in_channels = file.metadata['channels']

    def padded(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.in_channels:
            raise ValueError(f'{self.file.path} takes images of {self.in_channels} channels, and this one has {x.shape[1]}')
        size = self.file.metadata['size']
        if size == 'dynamic':
            size = [max(side, self.file.metadata['smallest']) for side in x.shape[-2:]]
        height, width = size
        down, right = height - x.shape[-2], width - x.shape[-1]
        if down < 0 or right < 0:
            raise ValueError(
                f'{self.file.path} takes images of {width} x {height} pixels, and this one has '
                f'{x.shape[-1]} x {x.shape[-2]} after the pipeline of its config: export it with --size dynamic, or with a '
                'larger size')
        if not down and not right:
            return x
        if self.file.metadata['task'] == 'classification':  # the padding would change the probabilities
            raise ValueError(
                f'{self.file.path} takes images of at least {width} x {height} pixels, and this one has {x.shape[-1]} x '
                f'{x.shape[-2]} after the pipeline of its config: export it with --size {x.shape[-2]} {x.shape[-1]}')
        return F.pad(x, (0, right, 0, down), mode='replicate' if self.file.metadata['task'] == 'restoration' else 'constant')

    def one(self, x: Tensor) -> list[Tensor]:
        """The outputs for a batch that the file takes as a whole."""
        image = self.padded(x)
        if self.file.metadata['preprocessing'] == 'inside':
            image = image if self.file.metadata['task'] == 'restoration' else image.flip(1)  # mmcv reads BGR
            scale = 255 if self.file.metadata['task'] == 'restoration' else 1
            image = (image * scale).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
        outputs = [torch.from_numpy(np.array(one)) for one in self.compute(image.contiguous().numpy())]
        is_map = self.file.metadata['task'] in ('segmentation', 'restoration')
        return [one[..., :x.shape[-2], :x.shape[-1]] for one in outputs] if is_map else outputs

    def forward(self, x: Tensor) -> Any:
        if self.file.metadata['batch'] == 'dynamic' or len(x) == 1:
            outputs = self.one(x)
        else:
            outputs = [torch.cat(parts) for parts in zip(*(self.one(image[None]) for image in x))]
        return outputs[0] if len(self.file.metadata['outputs']) == 1 else outputs


class ExportedModel(BaseModel):
    """An exported file in the place of a segmentor or detector; only predictions."""

    def __init__(self, file: ExportedFile, data_preprocessor: dict):
        super().__init__(data_preprocessor)
        self.network = ExportedNetwork(file)

    def forward(self, inputs: Tensor, data_samples: Sequence[BaseDataElement] | None = None, mode: str = 'tensor') -> Any:
        if mode != 'predict':
            return self.network(inputs)
        samples = list(data_samples or ())
        for image, sample in zip(inputs, samples):
            self.add_prediction(self.network(image[None]), sample)
        return samples

    def add_prediction(self, outputs: Any, sample: Any) -> None:
        raise NotImplementedError


class ExportedSegmentor(ExportedModel):
    """Logits are resized to the size of the image, as in mmseg; labels take the nearest."""

    def add_prediction(self, outputs: Tensor, sample: Any) -> None:
        height, width = sample.img_shape[:2]
        outputs = outputs[..., :height, :width]
        if outputs.ndim == 4:
            labels = F.interpolate(outputs, sample.ori_shape[:2], mode='bilinear',
                                   align_corners=self.network.file.metadata['align_corners']).argmax(1)
        else:
            labels = F.interpolate(outputs[None].float(), sample.ori_shape[:2], mode='nearest')[0].long()
        sample.pred_sem_seg = PixelData(data=labels)


class ExportedClassifier(ExportedModel):
    """Probabilities as they are."""

    def add_prediction(self, outputs: Tensor, sample: Any) -> None:
        sample.pred_score = outputs[0]


class ExportedDetector(ExportedModel):
    """Boxes are scaled to the size of the image, as in mmdet."""

    def add_prediction(self, outputs: list[Tensor], sample: Any) -> None:
        boxes, scores, labels = outputs
        found = scores > 0
        scale = boxes.new_tensor(sample.get('scale_factor', (1, 1))).repeat(2)
        sample.pred_instances = InstanceData(
            bboxes=boxes[found] / scale, scores=scores[found], labels=labels[found].long())


KINDS: dict[str, tuple[type[ExportedModel], type[Predictor]]] = {
    'classification': (ExportedClassifier, Classifier), 'segmentation': (ExportedSegmentor, Segmentor),
    'detection': (ExportedDetector, Detector)}


def _with_tuples(node: Any) -> Any:
    """A config as it was before JSON made its tuples of numbers lists; transforms of mmcv insist on them."""
    if isinstance(node, dict):
        return {name: _with_tuples(value) for name, value in node.items()}
    if isinstance(node, list):
        return (tuple if all(isinstance(value, (int, float)) for value in node) else list)(map(_with_tuples, node))
    return node


def _preprocessor(config: Config, metadata: dict) -> dict:
    """The config's data preprocessor; what the file does itself is left out."""
    settings = dict(config.model.data_preprocessor)
    if metadata['task'] == 'classification':  # which mmpretrain's classifiers set themselves
        settings['type'] = 'ClsDataPreprocessor'
    if metadata['task'] == 'detection':
        settings['pad_size_divisor'] = 1
    if metadata['preprocessing'] == 'inside':
        orders = {name: False for name in ('bgr_to_rgb', 'to_rgb') if name in settings}
        settings.update(mean=None, std=None, **orders)
    return settings


def load_exported(path: str | Path) -> Predictor:
    """A predictor for a file that ``tools/export.py`` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file holds no outputs that are predictions.
        ImportError: if its runtime is not installed.
    """
    file = open_exported(path)
    task, output = file.metadata['task'], file.metadata['output']
    if output in ('raw', 'maps'):
        raise ValueError(f'{path} holds the maps of a network (--output {output}), which are no predictions'
                         + ('; export it with --output detections' if output == 'raw' else ''))
    config = Config(_with_tuples(file.metadata['config']))
    if task == 'restoration':
        restorer = ImageRestorer(dict(type=ExportedNetwork, file=file))
        return Restorer(restorer, config)
    if task == 'classification':
        import_mmpretrain()
    model, predictor = KINDS[task]
    with DefaultScope.overwrite_default_scope(config.default_scope):
        return predictor(model(file, _preprocessor(config, file.metadata)), config)
