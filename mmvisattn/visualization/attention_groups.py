"""What one token of a CrossFormer attends to, in each stage, drawn over an image."""
from dataclasses import dataclass
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mmvisattn.files import written_whole
from mmvisattn.layers import Grouping
from mmvisattn.models.backbones import CrossFormer
from mmvisattn.models.backbones.crossformer import CrossFormerBlock

KINDS = ('short distance', 'long distance')


@dataclass(frozen=True)
class Attended:
    """What one token attends to in one block.

    Attributes:
        weights: (H, W) attention weights over the stage's map, mean of the heads; NaN outside the token's group.
        bias: (2 rows - 1, 2 cols - 1) position bias by offset, mean of the heads; the middle is the token itself.
        token: (row, column) of the token.
    """
    weights: Tensor
    bias: Tensor
    token: tuple[int, int]


def attended_by(block: CrossFormerBlock, x: Tensor, token: tuple[int, int]) -> Attended:
    """What ``token`` of a block's input (1, H, W, C) attends to."""
    height, width = x.shape[1:3]
    grouping = Grouping.of(height, width, block.group_size, block.interval_for(height, width), x.device)
    position = token[0] * width + token[1]
    region = next(r for r in grouping.regions if (r.index == position).any())
    groups = region.index.view(-1, region.rows * region.cols)
    members = groups[(groups == position).any(1)][0]
    attn = block.attn
    q, k, _ = attn.qkv(block.norm1(x)).flatten(0, 2)[members].unflatten(1, (3, attn.num_heads, -1)).permute(1, 2, 0, 3)
    bias, = attn.position_bias.compute([(region.rows, region.cols)])
    query = int((members == position).nonzero())
    heads = (q[:, query:query + 1] @ k.mT / q.shape[-1]**0.5 + bias[:, query:query + 1]).softmax(-1)
    weights = torch.full((height * width,), torch.nan)
    weights[members] = heads[:, 0].mean(0).float()
    # Offsets seen from the last token to the first, and so on: every offset occurs in some row of the table.
    by_offset = torch.zeros(2 * region.rows - 1, 2 * region.cols - 1)
    row, col = torch.arange(len(members)) // region.cols, torch.arange(len(members)) % region.cols
    by_offset[row[:, None] - row + region.rows - 1, col[:, None] - col + region.cols - 1] = bias.mean(0).float()
    return Attended(weights.view(height, width), by_offset, token)


def attended_in_stages(model: CrossFormer, image: Tensor, point: tuple[float, float]) -> list[list[Attended | None]]:
    """For each stage what the token at ``point`` (x, y as fractions of the image) attends to in the stage's last short and
    last long distance block; None where the stage has no long distance block.

    Args:
        model: in eval mode.
        image: (1, 3, H, W), normalised.
        point: where the token is.
    """
    inputs: dict[CrossFormerBlock, Tensor] = {}
    chosen = [[next(reversed(stage.blocks[start::2]), None) for start in (0, 1)] for stage in model.stages]
    hooks = [block.register_forward_pre_hook(lambda module, args: inputs.update({module: args[0]}))
             for blocks in chosen for block in blocks if block is not None]
    try:
        with torch.no_grad():
            model(image)
            return [[None if block is None else attended_by(block, inputs[block], _token(inputs[block], point))
                     for block in blocks] for blocks in chosen]
    finally:
        for hook in hooks:
            hook.remove()


def _token(x: Tensor, point: tuple[float, float]) -> tuple[int, int]:
    height, width = x.shape[1:3]
    return min(int(point[1] * height), height - 1), min(int(point[0] * width), width - 1)


def _overlay(axes, image: np.ndarray, attended: Attended | None) -> None:
    """The image in gray, with the token's group coloured by attention weight, and the token marked."""
    axes.imshow(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cmap='gray')
    if attended is None:
        axes.text(0.5, 0.5, 'no such block', ha='center', transform=axes.transAxes, backgroundcolor='white')
        return
    size = image.shape[1::-1]
    weights = cv2.resize(attended.weights.numpy(), size, interpolation=cv2.INTER_NEAREST)
    axes.imshow(np.ma.masked_invalid(weights), cmap='viridis', alpha=0.75, vmin=0)
    height, width = attended.weights.shape
    axes.plot((attended.token[1] + 0.5) / width * size[0] - 0.5, (attended.token[0] + 0.5) / height * size[1] - 0.5,
              marker='x', color='red', markersize=8, markeredgewidth=2)


def draw(model: CrossFormer, image_path: Path, out: Path, point: tuple[float, float], mean: list[float], std: list[float],
         title: str) -> None:
    """Draw, one column a stage: the short and the long distance group of one token, and the position bias.

    Args:
        model: a CrossFormer in eval mode.
        image_path: any image.
        out: the picture to write.
        point: the token's place, x and y as fractions of the image.
        mean, std: of the model's input, RGB, 0 to 255.
        title: says which weights these are.
    """
    image = mmcv.imread(image_path, channel_order='rgb')
    x = (torch.from_numpy(image).float() - torch.tensor(mean)) / torch.tensor(std)
    stages = attended_in_stages(model, x.permute(2, 0, 1)[None], point)
    heights = [image.shape[0] / image.shape[1]] * 2 + [1]
    figure = Figure(figsize=(3.6 * len(stages), 3.6 * sum(heights) + 2.5), layout='constrained')
    figure.suptitle(title)
    grid = figure.subplots(3, len(stages), squeeze=False, height_ratios=heights)
    for i, (column, blocks) in enumerate(zip(grid.T, stages)):
        for axes, kind, attended in zip(column, KINDS, blocks):
            axes.set(title=f'stage {i + 1}, {kind}', xticks=[], yticks=[])
            _overlay(axes, image, attended)
        bias = next(attended for attended in blocks if attended is not None).bias
        rows, cols = (side // 2 for side in bias.shape)
        limit = float(bias.abs().max())
        picture = column[2].imshow(bias, cmap='coolwarm', vmin=-limit, vmax=limit,
                                   extent=(-cols - 0.5, cols + 0.5, rows + 0.5, -rows - 0.5))
        column[2].set(title=f'stage {i + 1}, position bias', xlabel='columns apart', ylabel='rows apart')
        figure.colorbar(picture, ax=column[2], shrink=0.8, location='bottom')
    with written_whole(out) as path:
        figure.savefig(path, dpi=90)
