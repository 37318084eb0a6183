"""The prediction for an image: data, and a picture of it."""
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from mmvisattn.files import written_whole
from mmvisattn.restoration.pictures import Picture, write_picture
from mmvisattn.visualization.drawing import blend, draw_boxes, draw_masks, paint, with_bars, with_legend

Array = np.ndarray


def image_format(path: str | Path) -> str:
    """Pillow's name of the format that a suffix stands for.

    Raises:
        ValueError: if there is none that can be written.
    """
    Image.init()
    suffix = Path(path).suffix.lower()
    name = Image.EXTENSION.get(suffix, '')
    if name not in Image.SAVE:
        raise ValueError(f"{path}: there is no image format {suffix or 'without a suffix'}; write .png or .jpg")
    return name


def save_image(image: Image.Image, path: str | Path) -> None:
    """Write an image file, whole or not at all.

    Raises:
        ValueError: if the suffix is no image format.
    """
    name = image_format(path)
    with written_whole(path) as unfinished:
        image.save(unfinished, format=name, **(dict(quality=95) if name == 'JPEG' else {}))


class Result(ABC):
    """The prediction for one image. Notebooks show its picture."""

    @abstractmethod
    def picture(self) -> Array:
        """(H, W, 3) uint8 RGB: the image and what was found in it."""

    def save(self, path: str | Path) -> None:
        """Write the picture; the suffix says its format.

        Raises:
            ValueError: if the suffix is no image format.
        """
        save_image(Image.fromarray(self.picture()), path)

    def show(self) -> None:
        """Show the picture in a window."""
        Image.fromarray(self.picture()).show()

    def _repr_png_(self) -> bytes:
        data = BytesIO()
        Image.fromarray(self.picture()).save(data, format='PNG')
        return data.getvalue()


@dataclass(repr=False, eq=False)
class ClassificationResult(Result):
    """A score for each class.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        scores: (K,) float32, 0 to 1, with sum 1.
        classes: their names.
    """
    image: Array
    scores: Array
    classes: Sequence[str]

    def top(self, count: int = 5) -> dict[str, float]:
        """The classes of the highest scores, the highest first."""
        return {self.classes[i]: float(self.scores[i]) for i in np.argsort(-self.scores, kind='stable')[:count]}

    def picture(self) -> Array:
        """The image, and the five classes of the highest scores with a bar each."""
        top = self.top()
        return with_bars(self.image, list(top), list(top.values()))

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return (f'{type(self).__name__}({width} x {height} pixels: '
                + ', '.join(f'{name} {100 * score:.1f} %' for name, score in self.top().items()) + ')')


@dataclass(repr=False, eq=False)
class SegmentationResult(Result):
    """A class for each pixel.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W), the index of each pixel's class in ``classes``.
        classes: their names.
        palette: a color (R, G, B) per class.
    """
    image: Array
    labels: Array
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]

    def shares(self) -> dict[str, float]:
        """The share of the pixels that each class has, the largest first, without those that have none."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes)) / self.labels.size
        return {self.classes[i]: float(counts[i]) for i in np.argsort(-counts, kind='stable') if counts[i]}

    def overlay(self, opacity: float = 0.5) -> Array:
        """The classes' colors over the image."""
        return blend(self.image, paint(self.labels, self.palette), opacity)

    def picture(self) -> Array:
        """The classes' colors over the image, and the names of those that have at least 0.5 % of it."""
        names = [name for name, share in self.shares().items() if share >= 0.005]
        return with_legend(self.overlay(), names, [self.palette[self.classes.index(name)] for name in names])

    def save_labels(self, path: str | Path) -> None:
        """Write the labels as a PNG with a palette: the value of a pixel is the index of its class.

        Raises:
            ValueError: if there are more than 256 classes.
        """
        if len(self.classes) > 256:
            raise ValueError(f'a PNG with a palette holds 256 classes, and there are {len(self.classes)}')
        labels = Image.fromarray(self.labels.astype(np.uint8), mode='P')
        labels.putpalette(np.asarray(self.palette, np.uint8).tobytes())
        save_image(labels, path)

    def __repr__(self) -> str:
        height, width = self.labels.shape
        shares = ', '.join(f'{name} {100 * share:.0f} %' for name, share in list(self.shares().items())[:5])
        return f'{type(self).__name__}({width} x {height} pixels: {shares})'


@dataclass(repr=False, eq=False)
class DetectionResult(Result):
    """Objects, those of the highest score first.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes: (N, 4) float32: x1, y1, x2, y2 in pixels of the image.
        labels: (N,) the index of each object's class in ``classes``.
        scores: (N,) float32, 0 to 1.
        masks: (N, H, W) bool, or None where the model finds boxes only.
        classes: names.
        palette: a color (R, G, B) per class.
        threshold: objects of lower scores are not in the picture, but in the data.
    """
    image: Array
    boxes: Array
    labels: Array
    scores: Array
    masks: Array | None
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    threshold: float = 0.3

    def picture(self) -> Array:
        """Boxes and masks of at least the threshold's score, with class and score."""
        shown = self.scores >= self.threshold
        colors = [self.palette[label] for label in self.labels[shown]]
        image = self.image if self.masks is None else draw_masks(self.image, self.masks[shown], colors)
        captions = [f'{self.classes[label]} {score:.2f}' for label, score in zip(self.labels[shown], self.scores[shown])]
        return draw_boxes(image, self.boxes[shown], colors, captions)

    def to_coco(self, image_id: int = 0, category_ids: Sequence[int] | None = None) -> list[dict]:
        """All objects in the format of COCO's results.

        Args:
            image_id: of this image in the annotation file.
            category_ids: the id of each class there (``coco.getCatIds(result.classes)``); None: 1, 2, 3, …
        """
        ids = category_ids or range(1, len(self.classes) + 1)
        found = []
        for i, (x1, y1, x2, y2) in enumerate(self.boxes.tolist()):
            found.append(dict(image_id=image_id, category_id=ids[self.labels[i]], bbox=[x1, y1, x2 - x1, y2 - y1],
                              score=float(self.scores[i])))
            if self.masks is not None:
                found[-1]['segmentation'] = _run_lengths(self.masks[i])
        return found

    def __repr__(self) -> str:
        shown = self.labels[self.scores >= self.threshold]
        counts = ', '.join(f'{(shown == i).sum()} {name}' for i, name in enumerate(self.classes) if (shown == i).any())
        height, width = self.image.shape[:2]
        return f'{type(self).__name__}({width} x {height} pixels: {counts or "nothing"} with scores from {self.threshold})'


def _run_lengths(mask: Array) -> dict:
    from pycocotools import mask as coco_masks
    encoded = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(size=encoded['size'], counts=encoded['counts'].decode())


@dataclass(repr=False, eq=False)
class RestorationResult(Result):
    """A restored image.

    Attributes:
        restored: its pixels, with the bit depth and the transparency of the image that was given.
    """
    restored: Picture

    def picture(self) -> Array:
        pixels = (self.restored.pixels.clip(0, 1) * 255).round().astype(np.uint8)
        return pixels.repeat(3 // pixels.shape[-1], axis=-1)

    def save(self, path: str | Path) -> None:
        """Write the restored image at its bit depth, with its transparency.

        Raises:
            ValueError: if the suffix is no image format, or one that cannot hold these.
        """
        write_picture(Path(path), self.restored)

    def __repr__(self) -> str:
        height, width = self.restored.pixels.shape[:2]
        return f'{type(self).__name__}({width} x {height} pixels, {np.dtype(self.restored.dtype).itemsize * 8} bits)'
