"""Draw overlays on an image and tables by offset in one picture, one column per stage of a model."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from mmvisattn.files import written_whole


@dataclass(frozen=True)
class Overlay:
    """A map to lay over the image.

    Attributes:
        title: title of the panel.
        values: (H, W), of any size; NaN where there is no value. None: the stage has no such map.
        token: (row, column) on that map to mark, if any.
    """
    title: str
    values: Tensor | None
    token: tuple[int, int] | None = None


@dataclass(frozen=True)
class OffsetTable:
    """Values by offset between two tokens: (2 rows - 1, 2 cols - 1), with offset (0, 0) in the middle."""
    title: str
    values: Tensor


Panel = Overlay | OffsetTable


def token_at(point: tuple[float, float], height: int, width: int) -> tuple[int, int]:
    """(row, column) of a point (x, y), given as fractions of the map's width and height."""
    return min(int(point[1] * height), height - 1), min(int(point[0] * width), width - 1)


@contextmanager
def inputs_of(modules: Sequence[nn.Module]) -> Iterator[dict[nn.Module, Tensor]]:
    """While active, record each module's last input in the returned dict."""
    inputs: dict[nn.Module, Tensor] = {}
    hooks = [module.register_forward_pre_hook(lambda module, args: inputs.update({module: args[0]})) for module in modules]
    try:
        yield inputs
    finally:
        for hook in hooks:
            hook.remove()


def normalized(image: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """An RGB image (H, W, 3) of 0 to 255 as a model's input (1, 3, H, W)."""
    x = (torch.from_numpy(image).float() - torch.tensor(mean)) / torch.tensor(std)
    return x.permute(2, 0, 1)[None]


def _draw_overlay(axes, image: np.ndarray, overlay: Overlay) -> None:
    """Draw the image in gray, coloured where the map has values, and mark the token."""
    axes.set(title=overlay.title, xticks=[], yticks=[])
    axes.imshow(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cmap='gray')
    if overlay.values is None:
        axes.text(0.5, 0.5, 'no such block', ha='center', transform=axes.transAxes, backgroundcolor='white')
        return
    size = image.shape[1::-1]
    values = cv2.resize(overlay.values.numpy(), size, interpolation=cv2.INTER_NEAREST)
    axes.imshow(np.ma.masked_invalid(values), cmap='viridis', alpha=0.75, vmin=0)
    if overlay.token is not None:
        y, x = ((place + 0.5) / side * pixels - 0.5
                for place, side, pixels in zip(overlay.token, overlay.values.shape, image.shape))
        axes.plot(x, y, marker='x', color='red', markersize=8, markeredgewidth=2)


def _draw_table(figure: Figure, axes, table: OffsetTable) -> None:
    rows, cols = (side // 2 for side in table.values.shape)
    limit = float(table.values.abs().max())
    picture = axes.imshow(table.values, cmap='coolwarm', vmin=-limit, vmax=limit,
                          extent=(-cols - 0.5, cols + 0.5, rows + 0.5, -rows - 0.5))
    axes.set(title=table.title, xlabel='columns apart', ylabel='rows apart')
    figure.colorbar(picture, ax=axes, shrink=0.8, location='bottom')


def draw_stages(image: np.ndarray, stages: Sequence[Sequence[Panel]], out: Path, title: str) -> None:
    """Draw the panels of each stage in a column, and the stages side by side.

    Args:
        image: (H, W, 3), RGB.
        stages: the panels of each stage; all stages have the same number and kinds of panels.
        out: the picture to write.
        title: the names of the model and the weights.
    """
    heights = [image.shape[0] / image.shape[1] if isinstance(panel, Overlay) else 1 for panel in stages[0]]
    figure = Figure(figsize=(3.6 * len(stages), 3.6 * sum(heights) + 0.5 * len(heights) + 0.5), layout='constrained')
    figure.suptitle(title)
    grid = figure.subplots(len(heights), len(stages), squeeze=False, height_ratios=heights)
    for column, panels in zip(grid.T, stages):
        for axes, panel in zip(column, panels):
            if isinstance(panel, Overlay):
                _draw_overlay(axes, image, panel)
            else:
                _draw_table(figure, axes, panel)
    with written_whole(out) as path:
        figure.savefig(path, dpi=90)
