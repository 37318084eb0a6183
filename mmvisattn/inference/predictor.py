"""Prediction on images in any form."""
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import TRANSFORMS
from mmengine.structures import BaseDataElement
from torch.hub import tqdm  # which stands in for tqdm where that is not installed

from mmvisattn.config import dicts_in, metainfo_of
from mmvisattn.restoration.image_restorer import ImageRestorer
from mmvisattn.restoration.pictures import Picture, decode_picture
from mmvisattn.restoration.restoring import restore_picture
from mmvisattn.restoration.tiling import tile_starts
from mmvisattn.weights.download import is_url

from .results import ClassificationResult, DetectionResult, RestorationResult, Result, SegmentationResult
from .sources import NO_ANSWER, Source, as_bytes, content_of, listed, pixels_of

Array = np.ndarray
Image = TypeVar('Image')
SMALLEST_TILE = 32


class Predictor(ABC, Generic[Image]):
    """A trained model that takes images in any form; ``mmvisattn.load`` makes one.

    Attributes:
        model: the model itself, in eval mode.
        config: its config.
        results: the class of what ``predict`` gives.
    """
    results: type[Result]

    def __init__(self, model: BaseModel, config: Config):
        self.model = model.eval()
        self.config = config

    @abstractmethod
    def read(self, source: Source) -> Image:
        """An image as ``run`` takes it.

        Raises:
            FileNotFoundError: if there is no such file or address.
            ValueError: if it is no image.
        """

    @abstractmethod
    def run(self, images: Sequence[Image], tile: int | None = None) -> list[Any]:
        """The results for images that were read.

        Args:
            images: of any sizes; those of equal size are computed together.
            tile: apply the model to square tiles of this many pixels per side, at the image's own scale, to save memory.
        """

    def predict(self, source: Source | Iterable[Source], batch_size: int = 1, tile: int | None = None) -> Any:
        """Apply the model.

        Args:
            source: a path, an address (http, https), an image of Pillow, an array (H, W, C) RGB or (H, W) gray, a tensor
                (C, H, W), of uint8 or of floats from 0 to 1; or a list of these; or the path of a folder.
            batch_size: how many images are read at a time; those of equal size are computed together.
            tile: apply the model to square tiles of this many pixels per side, at the image's own scale, to save memory.

        Returns:
            A ``Result``, or a list of them for a list or a folder.

        Raises:
            FileNotFoundError: if there is no such file or address, or no image in the folder.
            ValueError: if a source is no image.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size={batch_size} must be at least 1')
        if tile is not None and tile < SMALLEST_TILE:
            raise ValueError(f'tile={tile} must be at least {SMALLEST_TILE}')
        sources = listed(source)
        if sources is None:
            return self.run([self.read(source)], tile)[0]  # type: ignore[arg-type]
        batches = [sources[i:i + batch_size] for i in range(0, len(sources), batch_size)]
        return [result for batch in tqdm(batches, disable=len(batches) < 2)
                for result in self.run([self.read(one) for one in batch], tile)]


class PipelinePredictor(Predictor[Array]):
    """Reads and prepares images as the config's test pipeline does, so that results are those of ``tools/test.py``."""

    def __init__(self, model: BaseModel, config: Config):
        super().__init__(model, config)
        # The innermost one, if the data set is wrapped.
        dataset = next((part for part in dicts_in(config.test_dataloader.dataset) if 'pipeline' in part), {})
        if not dataset:
            raise ValueError('the test_dataloader of this config has no dataset with a pipeline')
        transforms = [dict(transform) for transform in dataset['pipeline']]
        loads = [_name(transform).startswith('LoadImage') for transform in transforms]
        if not any(loads):
            raise ValueError(f'the test pipeline of this config loads no image: {[_name(one) for one in transforms]}')
        self.loader = TRANSFORMS.build(transforms[loads.index(True)])
        kept = [transform for transform in transforms if not _name(transform).startswith('Load')]
        self.pipeline = Compose(kept)
        self.pipeline_at_own_scale = Compose([transform for transform in kept if _name(transform) != 'Resize'])
        metainfo = metainfo_of(dataset)
        self.classes = tuple(metainfo.get('classes') or ())
        self.palette = palette_for(self.classes, metainfo.get('palette'))

    def read(self, source: Source) -> Array:
        """(H, W, 3) uint8, BGR as in mmcv."""
        if not isinstance(source, (str, Path)):
            return np.ascontiguousarray(as_bytes(pixels_of(source))[..., ::-1])
        if not is_url(source) and not Path(source).is_file():
            raise FileNotFoundError(f'there is no image {source}')
        try:
            return self.loader.transform(dict(img_path=str(source)))['img']
        except Exception as error:  # whatever the decoder finds wrong
            if is_url(source) and isinstance(error, NO_ANSWER):
                raise FileNotFoundError(f'cannot fetch {source}: {error}') from error
            reason = ' '.join(str(error).split()) or type(error).__name__
            raise ValueError(f'{source} cannot be read as an image: {reason}') from error

    def samples(self, images: Sequence[Array], pipeline: Compose) -> list[BaseDataElement]:
        """The model's results for images, prepared by a pipeline."""
        prepared: dict[tuple, list[tuple[int, dict]]] = defaultdict(list)
        for i, image in enumerate(images):
            data = _prepared(image, i, pipeline)
            prepared[tuple(data['inputs'].shape)].append((i, data))
        found: dict[int, BaseDataElement] = {}
        for batch in prepared.values():
            with torch.inference_mode():
                results = self.model.test_step(pseudo_collate([data for _, data in batch]))
            found.update(zip((i for i, _ in batch), results))
        return [found[i] for i in range(len(images))]


def _prepared(image: Array, index: int, pipeline: Compose) -> dict:
    try:
        return pipeline(dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2], img_path='', img_id=index))
    except cv2.error as error:
        raise ValueError(f'an image of {image.shape[1]} x {image.shape[0]} pixels is too thin for the pipeline of this '
                         f'config: {" ".join(str(error).split())}') from error


def _name(transform: dict) -> str:
    return transform['type'].split('.')[-1]


def palette_for(classes: Sequence[str], palette: Sequence | None) -> list[tuple[int, ...]]:
    """One color per class: the data set's palette, or random colors."""
    if palette is None or len(palette) < len(classes):
        random = np.random.RandomState(0)
        palette = random.randint(40, 240, (len(classes), 3)).tolist()
    return [tuple(color) for color in palette]


class Segmentor(PipelinePredictor):
    """A segmentation model; ``predict`` gives a ``SegmentationResult``."""
    results = SegmentationResult

    @property
    def dtype(self) -> type[np.unsignedinteger]:
        """The smallest type that holds every class."""
        return np.uint8 if len(self.classes) <= 256 else np.uint16

    def labels(self, images: Sequence[Array], pipeline: Compose) -> list[Array]:
        return [sample.pred_sem_seg.data[0].cpu().numpy().astype(self.dtype) for sample in self.samples(images, pipeline)]

    def labels_in_tiles(self, image: Array, tile: int) -> Array:
        """Labels of an image from overlapping tiles: each pixel's from the tile in whose inner part it lies."""
        overlap = tile // 4
        labels = np.zeros(image.shape[:2], self.dtype)
        for top, bottom, first_row, last_row in _tiles(image.shape[0], tile, overlap):
            for left, right, first_column, last_column in _tiles(image.shape[1], tile, overlap):
                part = np.ascontiguousarray(image[top:bottom, left:right])
                found = self.labels([part], self.pipeline_at_own_scale)[0]
                labels[first_row:last_row, first_column:last_column] = found[
                    first_row - top:last_row - top, first_column - left:last_column - left]
        return labels

    def run(self, images: Sequence[Array], tile: int | None = None) -> list[SegmentationResult]:
        labels = self.labels(images, self.pipeline) if tile is None else [
            self.labels_in_tiles(image, tile) for image in images]
        return [SegmentationResult(np.ascontiguousarray(image[..., ::-1]), one, self.classes, self.palette)
                for image, one in zip(images, labels)]


def _tiles(side: int, tile: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """(start, end, first, last) of each tile along a side: what it covers, and what part of that is taken from it."""
    starts = tile_starts(side, tile, overlap)
    cuts = [0, *((before + tile + after) // 2 for before, after in zip(starts, starts[1:])), side]
    return [(start, min(start + tile, side), first, last) for start, first, last in zip(starts, cuts, cuts[1:])]


class Classifier(PipelinePredictor):
    """A classification model; ``predict`` gives a ``ClassificationResult``."""
    results = ClassificationResult

    def run(self, images: Sequence[Array], tile: int | None = None) -> list[ClassificationResult]:
        if tile is not None:
            raise ValueError('tile: classifiers take images as a whole')
        scores = [sample.pred_score.cpu().numpy() for sample in self.samples(images, self.pipeline)]
        return [ClassificationResult(
            np.ascontiguousarray(image[..., ::-1]), one, self.classes or [str(i) for i in range(len(one))])
            for image, one in zip(images, scores)]


class Detector(PipelinePredictor):
    """A detection model; ``predict`` gives a ``DetectionResult``."""
    results = DetectionResult

    def run(self, images: Sequence[Array], tile: int | None = None) -> list[DetectionResult]:
        if tile is not None:
            raise ValueError('tile: objects would be cut in two, so detectors take images as a whole')
        results = []
        for image, sample in zip(images, self.samples(images, self.pipeline)):
            found = sample.pred_instances.cpu().numpy()
            order = np.argsort(-found.scores, kind='stable')
            masks = found.masks[order].astype(bool) if 'masks' in found else None
            results.append(DetectionResult(
                np.ascontiguousarray(image[..., ::-1]), found.bboxes[order], found.labels[order], found.scores[order],
                masks, self.classes, self.palette))
        return results


class Restorer(Predictor[Picture]):
    """A restoration model; ``predict`` gives a ``RestorationResult``."""
    results = RestorationResult

    model: ImageRestorer

    def read(self, source: Source) -> Picture:
        if isinstance(source, (str, Path)):
            return decode_picture(content_of(source), source)
        pixels = pixels_of(source)
        alpha = pixels[..., 3:] if pixels.shape[-1] == 4 else None
        dtype = pixels.dtype if pixels.dtype == np.uint16 else np.dtype(np.uint8)
        scale = np.float32(1 if np.issubdtype(pixels.dtype, np.floating) else np.iinfo(dtype).max)
        if alpha is not None and np.issubdtype(alpha.dtype, np.floating):
            alpha = (alpha * 255).round().astype(np.uint8)
        return Picture(pixels[..., :3].astype(np.float32) / scale, alpha, dtype)

    def run(self, images: Sequence[Picture], tile: int | None = None) -> list[RestorationResult]:
        self.model.tile, self.model.tile_overlap = tile, min(32, (tile or 128) // 4)
        return [RestorationResult(restore_picture(self.model, image)) for image in images]
