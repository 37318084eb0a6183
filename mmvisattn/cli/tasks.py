"""What a report shows for each kind of model: its score, and pictures of examples."""
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import mmcv
import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement

from mmvisattn.restoration.protocols import PROTOCOLS
from mmvisattn.visualization.drawing import draw_boxes, paint

Array = np.ndarray


@dataclass(frozen=True)
class Example:
    """A picture (H, W, 3) uint8 RGB with a caption."""
    picture: Array
    caption: str = ''


@dataclass(frozen=True)
class Task:
    """A kind of model.

    Attributes:
        key: name of the logged scalar that is the score; higher is better.
        name: displayed name of the score.
        scale: factor from the logged scalar to the displayed score.
        unit: unit of the displayed score.
        limits: limits of the score's axis.
        rows: names of an example's pictures.
        example: (model, dataset, index) to the pictures.
    """
    key: str
    name: str
    scale: float
    unit: str
    limits: tuple[float | None, float | None]
    rows: tuple[str, ...]
    example: Callable[[BaseModel, BaseDataset, int], list[Example]]

    def formatted(self, score: float) -> str:
        return f'{score * self.scale:.{2 if self.unit else 3}f}{self.unit}'


def _predict(model: BaseModel, dataset: BaseDataset, index: int) -> tuple[dict, BaseDataElement]:
    sample = dataset[index]
    with torch.inference_mode():
        return sample, model.test_step(pseudo_collate([sample]))[0]


def segmented(model: BaseModel, dataset: BaseDataset, index: int) -> list[Example]:
    """Image, painted truth and painted prediction."""
    _, result = _predict(model, dataset, index)
    maps = (paint(part.data[0].cpu().numpy(), dataset.metainfo['palette'])
            for part in (result.gt_sem_seg, result.pred_sem_seg))
    return [Example(mmcv.imread(result.img_path, channel_order='rgb')), *map(Example, maps)]


def _middle(image: Array, side: int = 160) -> Array:
    """The middle square of the image at its own scale, where single pixels can be seen."""
    top, left = (max(0, (size - side) // 2) for size in image.shape[:2])
    return image[top:top + side, left:left + side]


def restored(protocol: str, model: BaseModel, dataset: BaseDataset, index: int) -> list[Example]:
    """The middle of the degraded, restored and clean image, with the PSNR of the whole degraded and restored image."""
    sample, result = _predict(model, dataset, index)
    # Not clipped: a file would clip the noise of the degraded image, which is a part of its error.
    degraded, restored, clean = (image.double().permute(1, 2, 0).numpy() for image in (
        sample['inputs'][:len(result.clean)], result.restored, result.clean))
    captions = [f'{PROTOCOLS[protocol](image, clean)["PSNR"]:.2f} dB' for image in (degraded, restored)] + ['']
    return [Example(_middle((image.clip(0, 1).repeat(3 // image.shape[-1], -1) * 255).round().astype(np.uint8)), caption)
            for image, caption in zip((degraded, restored, clean), captions)]


def detected(model: BaseModel, dataset: BaseDataset, index: int, threshold: float = 0.3) -> list[Example]:
    """The true boxes, and the predicted boxes with a score above the threshold."""
    _, result = _predict(model, dataset, index)
    image = mmcv.imread(result.img_path, channel_order='rgb')
    truth, found = result.gt_instances, result.pred_instances
    found = found[found.scores > threshold].cpu()
    width, height = result.scale_factor  # true boxes are in the resized image, predicted ones in the file's
    boxes = getattr(truth.bboxes, 'tensor', truth.bboxes).cpu() / torch.tensor([width, height, width, height])
    palette = dataset.metainfo['palette']
    return [Example(draw_boxes(image, boxes.numpy(), [palette[label % len(palette)] for label in labels]))
            for boxes, labels in ((boxes, truth.labels), (found.bboxes, found.labels))]


def classified(model: BaseModel, dataset: BaseDataset, index: int) -> list[Example]:
    """The image, with the predicted class, its score, and the true class if that is another."""
    _, result = _predict(model, dataset, index)
    names = dataset.metainfo['classes']
    truth, found = int(result.gt_label), int(result.pred_label)
    caption = f'{names[found]} {float(result.pred_score[found]):.2f}' + (f', not {names[truth]}' if found != truth else '')
    return [Example(mmcv.imread(result.img_path, channel_order='rgb'), caption)]


TASKS = (
    Task('accuracy/top1', 'top-1', 1, ' %', (0, 100), ('image',), classified),
    Task('mIoU', 'mIoU', 0.01, '', (0, 1), ('image', 'truth', 'prediction'), segmented),
    *(Task(f'{protocol}/PSNR', f'PSNR ({protocol})', 1, ' dB', (None, None), ('degraded', 'restored', 'clean'),
           partial(restored, protocol)) for protocol in PROTOCOLS),
    Task('coco/bbox_mAP', 'box AP', 1, '', (0, 1), ('truth', 'prediction'), detected),
)
