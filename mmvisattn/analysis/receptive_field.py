"""The effective receptive field: how far around its place a model looks (NeurIPS 2016, https://arxiv.org/abs/1701.04128)."""
import hashlib
import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from mmvisattn.files import written_whole

Array = np.ndarray
SHARES = (0.5, 0.95)
FAINTEST = 1e-5  # of the highest contribution; what is fainter is drawn so


def maps_of(model: nn.Module, image: Tensor) -> list[Tensor]:
    """The maps that a model returns."""
    outputs = model(image)
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def fingerprint(tensors: Iterable[Tensor]) -> str:
    """A digest of images, and of a model's maps of one of them: other weights, settings or images have another."""
    content = hashlib.sha256()
    for tensor in tensors:
        content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()[:16]


def contributions(model: nn.Module, index: int, images: Iterable[Tensor]) -> Array:
    """How much each pixel moves the middle of a map.

    Args:
        model: returns maps (B, C, h, w), in eval mode.
        index: of the map.
        images: each (1, C, H, W), all of one size.

    Returns:
        (H, W): the absolute gradient of the sum over the channels of the map's middle, summed over the image's channels and
        over the images; all pixels together are 1.
    """
    total: Tensor | None = None
    for image in images:
        x = image.detach().requires_grad_()
        y = maps_of(model, x)[index]
        gradient, = torch.autograd.grad(y[..., y.shape[-2] // 2, y.shape[-1] // 2].sum(), x)
        found = gradient.abs().sum((0, 1)).double().cpu()
        total = found if total is None else total + found
    if total is None or not total.sum() > 0:
        raise ValueError('no pixel moves the middle of the map')
    return (total / total.sum()).numpy()


def _rings(field: Array) -> Array:
    """What lies at each distance (of the longer of rows and columns) from the middle of what contributes."""
    rows, columns = np.indices(field.shape)
    middle = [np.average(index, weights=field) for index in (rows, columns)]
    distance = np.maximum(abs(rows - round(middle[0])), abs(columns - round(middle[1])))
    return np.bincount(distance.ravel(), weights=field.ravel())


def side_of(field: Array, share: float) -> int:
    """The side (pixels) of the smallest square around the middle that holds a share of the contributions; or the image's."""
    within = np.cumsum(_rings(field))
    return min(2 * int(np.argmax(within >= share * (1 - 1e-9))) + 1, max(field.shape))


def sizes(field: Array) -> dict[str, int]:
    """The sides of the squares that hold 50 % and 95 % of the contributions, and of the one that holds all of them."""
    return {**{f'{share:.0%}': side_of(field, share) for share in SHARES}, 'all': side_of(field, 1.0)}


def read_fields(path: Path, subject: dict) -> list[Array]:
    """The fields that an interrupted call has left; none of another subject."""
    try:
        with np.load(path) as file:
            fields = [file[name] for name in file.files if name != 'subject']
            return fields if json.loads(str(file['subject'])) == subject else []
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return []


def write_fields(path: Path, subject: dict, fields: Sequence[Array]) -> None:
    """Keep the fields that are done, and what they are of."""
    with written_whole(path) as unfinished:
        np.savez(unfinished, *fields, subject=json.dumps(subject))


def draw_fields(fields: Sequence[Array], names: Sequence[str], title: str, out: Path) -> None:
    """One panel per map: the contributions on a logarithmic scale, with the squares of 50 % and 95 %."""
    figure = Figure(figsize=(4.2 * len(fields) + 0.8, 5.6), layout='constrained')
    figure.suptitle(title)
    grid = figure.subplots(1, len(fields), squeeze=False)[0]
    for axes, field, name in zip(grid, fields, names):
        highest = field.max()
        # Relative to the pixel that contributes most, so that one bar of colors fits all panels.
        shown = axes.imshow(np.maximum(field / highest, FAINTEST), norm=LogNorm(FAINTEST, 1), cmap='magma')
        middle = [round(np.average(index, weights=field)) for index in np.indices(field.shape)]
        for share, style in zip(SHARES, ('-', '--')):
            side = side_of(field, share)
            axes.add_patch(Rectangle((middle[1] - side / 2, middle[0] - side / 2), side, side, fill=False, color='white',
                                     linestyle=style))  # type: ignore[arg-type]
        words = ', '.join(f'{share} {side}' for share, side in sizes(field).items())
        axes.set(title=f'{name}\n{words} pixels', xticks=[], yticks=[])
        axes.set_xlim(-0.5, field.shape[1] - 0.5)
        axes.set_ylim(field.shape[0] - 0.5, -0.5)
    figure.colorbar(shown, ax=list(grid), label='contribution, of the highest one', shrink=0.8)
    with written_whole(out) as path:
        figure.savefig(path, dpi=100)
