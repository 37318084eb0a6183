"""Which classes a segmentor confuses, where, and on which images."""
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmvisattn.files import written_whole
from mmvisattn.visualization.drawing import paint

Array = np.ndarray
IGNORED = 255
# The width of a boundary as a part of the image's diagonal (Boundary IoU, CVPR 2021, https://arxiv.org/abs/2103.16562).
BOUNDARY = 0.02
MOST_NAMED = 40  # classes whose names fit beside a matrix


@dataclass(frozen=True)
class ImageCounts:
    """The counts of one image.

    Attributes:
        index: of the image in its data set.
        image: its path.
        confusion: (class of the truth, predicted class, number of pixels), where there are any.
        boundary: (class, pixels in both boundaries, pixels in either), of the classes in the truth or the prediction.
    """
    index: int
    image: str
    confusion: list[tuple[int, int, int]]
    boundary: list[tuple[int, int, int]]


def boundary_region(mask: Array, width: int) -> Array:
    """The pixels of a mask (H, W), bool, that are at most ``width`` pixels from what is not the mask, or from the edge."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=width, borderType=cv2.BORDER_CONSTANT,
                      borderValue=0)
    return mask & (inner == 0)


def count_image(index: int, image: str, truth: Array, predicted: Array, num_classes: int) -> ImageCounts:
    """Compare two label maps (H, W); pixels whose truth is 255 do not count.

    Raises:
        ValueError: if the truth has another label that is no class.
    """
    valid = truth != IGNORED
    if (highest := truth[valid].max(initial=0)) >= num_classes:
        raise ValueError(f'the truth of {image} has the label {highest}, but there are {num_classes} classes '
                         f'(0 to {num_classes - 1}; {IGNORED} is ignored)')
    matrix = np.bincount(truth[valid].astype(np.int64) * num_classes + predicted[valid], minlength=num_classes**2)
    matrix = matrix.reshape(num_classes, num_classes)
    width = max(1, round(BOUNDARY * math.hypot(*truth.shape)))
    boundary = []
    for label in np.flatnonzero(matrix.sum(0) + matrix.sum(1)):
        ours, theirs = (boundary_region(valid & (labels == label), width) for labels in (predicted, truth))
        boundary.append((int(label), int((ours & theirs).sum()), int((ours | theirs).sum())))
    cells = [(int(row), int(column), int(matrix[row, column])) for row, column in zip(*matrix.nonzero())]
    return ImageCounts(index, image, cells, boundary)


def confusion_matrix(counts: Sequence[ImageCounts], num_classes: int) -> Array:
    """Pixels by class of the truth (row) and predicted class (column)."""
    matrix = np.zeros((num_classes, num_classes), np.int64)
    for one in counts:
        for truth, predicted, number in one.confusion:
            matrix[truth, predicted] += number
    return matrix


def class_ious(matrix: Array) -> Array:
    """IoU of each class; nan where it is neither in the truth nor predicted."""
    union = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
    return np.divide(matrix.diagonal(), union, out=np.full(len(matrix), np.nan), where=union > 0)


def boundary_ious(counts: Sequence[ImageCounts], num_classes: int) -> Array:
    """Boundary IoU of each class over all images; nan where it has no pixels."""
    both, either = np.zeros(num_classes), np.zeros(num_classes)
    for one in counts:
        for label, intersection, union in one.boundary:
            both[label] += intersection
            either[label] += union
    return np.divide(both, either, out=np.full(num_classes, np.nan), where=either > 0)


def image_iou(one: ImageCounts, num_classes: int) -> float | None:
    """The mean IoU of the classes in an image's truth or prediction; None where all is unlabelled."""
    return float(np.nanmean(class_ious(confusion_matrix([one], num_classes)))) if one.confusion else None


def report(counts: Sequence[ImageCounts], classes: Sequence[str]) -> dict:
    """All figures, from 0 to 1; None where a class or an image has no pixels."""
    matrix = confusion_matrix(counts, len(classes))
    ious, boundaries = class_ious(matrix), boundary_ious(counts, len(classes))

    def numbers(values: Array) -> list[float | None]:
        return [None if np.isnan(value) else float(value) for value in values]

    return dict(
        mIoU=float(np.nanmean(ious)), boundary_mIoU=float(np.nanmean(boundaries)),
        accuracy=float(matrix.diagonal().sum() / matrix.sum()), classes=list(classes), IoU=numbers(ious),
        boundary_IoU=numbers(boundaries), confusion=matrix.tolist(),
        images={one.image: image_iou(one, len(classes)) for one in counts})


class Progress:
    """The counts of images that are done, in a file that grows with each, so that an interrupted run goes on.

    Args:
        path: the file; its first line says what is compared.
        subject: what is compared: config, checkpoint and the like.

    Raises:
        ValueError: if the file is damaged or of another subject.
    """

    def __init__(self, path: Path, subject: dict):
        self.path = path
        lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
        lines = [line for line in lines if line.endswith('\n')]  # the last one may have been cut off
        try:
            earlier, *counts = [json.loads(line) for line in lines] or [subject]
            self.counts = [ImageCounts(**one) for one in counts]
        except (ValueError, TypeError) as error:
            raise ValueError(f'{path} is damaged') from error
        if earlier != subject:
            raise ValueError(f'{path} is of another model or other data: {lines[0].strip()}')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(''.join(lines) or json.dumps(subject) + '\n')

    def left(self, total: int) -> Iterator[int]:
        """The indices of the images that are not done."""
        done = {one.index for one in self.counts}
        return (index for index in range(total) if index not in done)

    def add(self, one: ImageCounts) -> None:
        self.counts.append(one)
        with self.path.open('a') as file:
            file.write(json.dumps(asdict(one)) + '\n')


def draw_confusion(figures: dict, out: Path) -> None:
    """The matrix, with each row as parts of the truth; IoU and boundary IoU of each class; a histogram over images."""
    classes = figures['classes']
    matrix = np.array(figures['confusion'], float)
    parts = matrix / np.maximum(1, matrix.sum(1, keepdims=True))
    side = min(14, 4 + 0.3 * len(classes))
    figure = Figure(figsize=(side + 7, side + 1), layout='constrained')
    grid = figure.add_gridspec(2, 2, width_ratios=(side, 7))
    axes = figure.add_subplot(grid[:, 0])
    shown = axes.imshow(parts, vmin=0, vmax=1, cmap='Blues')
    axes.set(xlabel='predicted', ylabel='truth', title='parts of the pixels of each class')
    if len(classes) <= MOST_NAMED:
        axes.set_xticks(range(len(classes)), classes, rotation=90)
        axes.set_yticks(range(len(classes)), classes)
        for row, column in zip(*np.nonzero(parts >= 0.005)):
            axes.text(column, row, f'{100 * parts[row, column]:.0f}', ha='center', va='center', fontsize=7,
                      color='white' if parts[row, column] > 0.5 else 'black')
    figure.colorbar(shown, ax=axes, shrink=0.6)
    axes = figure.add_subplot(grid[0, 1])
    positions = np.arange(len(classes))
    for offset, key, label in ((-0.2, 'IoU', f'IoU, mean {figures["mIoU"]:.3f}'),
                               (0.2, 'boundary_IoU', f'boundary IoU, mean {figures["boundary_mIoU"]:.3f}')):
        axes.bar(positions + offset, [value or 0 for value in figures[key]], width=0.4, label=label)
    if len(classes) <= MOST_NAMED:
        axes.set_xticks(positions, classes, rotation=90)
    axes.set_ylim(0, 1)
    axes.legend(fontsize='small')
    axes = figure.add_subplot(grid[1, 1])
    axes.hist([value for value in figures['images'].values() if value is not None], bins=20, range=(0, 1))
    axes.set(xlabel='mean IoU of an image', ylabel='images')
    with written_whole(out) as path:
        figure.savefig(path, dpi=100)


def draw_worst(examples: Sequence[tuple[Array, Array, Array, str]], classes: Sequence[str], palette: Sequence[Sequence[int]],
               out: Path) -> None:
    """Rows of image, truth and prediction, with the names of the colors that are in them.

    Args:
        examples: for each image its pixels (H, W, 3) uint8 RGB, truth and prediction (H, W), and a caption.
        classes, palette: names and colors of the classes.
        out: the picture to write.
    """
    figure = Figure(figsize=(11, 2.9 * len(examples) + 1), layout='constrained')
    grid = figure.subplots(len(examples), 3, squeeze=False)
    for axes, (image, truth, predicted, caption) in zip(grid, examples):
        for place, picture in zip(axes, (image, paint(truth, palette), paint(predicted, palette))):
            place.imshow(picture)
            place.set(xticks=[], yticks=[])
        axes[0].set_ylabel(caption, fontsize='small')
    for place, name in zip(grid[0], ('image', 'truth', 'prediction')):
        place.set_title(name)
    present = sorted({int(label) for example in examples for labels in example[1:3] for label in np.unique(labels)}
                     & set(range(len(classes))))
    figure.legend(handles=[Patch(color=tuple(np.array(palette[label]) / 255), label=classes[label]) for label in present],
                  loc='outside lower center', ncols=6, fontsize='small')
    with written_whole(out) as path:
        figure.savefig(path, dpi=100)
