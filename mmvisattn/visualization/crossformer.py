"""What one token of a CrossFormer attends to, in each stage."""
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmvisattn.models import CrossFormer
from mmvisattn.models.crossformer.backbone import CrossFormerBlock
from mmvisattn.models.crossformer.dynamic_position_bias import bias_between_tokens
from mmvisattn.models.crossformer.grouping import Grouping

from .attention_picture import OffsetTable, Overlay, Panel, inputs_of, token_at

KINDS = ('short distance', 'long distance')


@dataclass(frozen=True)
class Attended:
    """What one token attends to in one block.

    Attributes:
        weights: (H, W) attention weights over the stage's map, mean of the heads; NaN outside the token's group.
        bias: (2 rows - 1, 2 cols - 1) position bias by offset, mean of the heads; offset (0, 0) is in the middle.
        token: (row, column) of the token.
    """
    weights: Tensor
    bias: Tensor
    token: tuple[int, int]


def attended_by(block: CrossFormerBlock, x: Tensor, token: tuple[int, int]) -> Attended:
    """What ``token`` of a block's input (1, H, W, C) attends to."""
    height, width = x.shape[1:3]
    grouping = Grouping.of(height, width, *block.kind(height, width), x.device)
    position = token[0] * width + token[1]
    region = next(r for r in grouping.regions if (r.index == position).any())
    groups = region.index.view(-1, region.rows * region.cols)
    members = groups[(groups == position).any(1)]
    query = int((members == position).nonzero()[0, 1])
    q, k, _ = block.attn.heads(block.norm1(x).flatten(1, 2)[:, members[0]])
    table, = block.attn.position_bias([(region.rows, region.cols)])
    bias = bias_between_tokens(table, 0, region.rows)[:, query:query + 1]
    heads = (q[0, :, query:query + 1] @ k[0].mT / q.shape[-1]**0.5 + bias).softmax(-1)
    weights = torch.full((height * width,), torch.nan)
    weights[members[0]] = heads[:, 0].mean(0).float()
    return Attended(weights.view(height, width), table.mean(0).float(), token)


def last_attended(blocks: Sequence[CrossFormerBlock], inputs: dict[nn.Module, Tensor],
                  point: tuple[float, float]) -> Attended | None:
    """What the token at ``point`` attends to in the last of ``blocks``; None if there are no blocks."""
    if not blocks:
        return None
    x = inputs[blocks[-1]]
    return attended_by(blocks[-1], x, token_at(point, *x.shape[1:3]))


def attended_in_stages(model: CrossFormer, image: Tensor, point: tuple[float, float]) -> list[list[Panel]]:
    """For each stage, what the token at ``point`` (x, y as fractions of the image) attends to in the last short and the last
    long distance block, and the position bias by offset of that short distance block.

    Args:
        model: in eval mode.
        image: (1, 3, H, W), normalised.
        point: where the token is.
    """
    stages: list[list[Panel]] = []
    with inputs_of([block for stage in model.stages for block in stage.blocks]) as inputs, torch.no_grad():
        model(image)
        for i, stage in enumerate(model.stages):
            kinds = [last_attended(stage.blocks[start::2], inputs, point) for start in range(len(KINDS))]
            panels: list[Panel] = [
                Overlay(f'stage {i + 1}, {kind}', attended.weights, attended.token) if attended
                else Overlay(f'stage {i + 1}, {kind}', None) for kind, attended in zip(KINDS, kinds)]
            if kinds[0]:
                panels.append(OffsetTable(f'stage {i + 1}, position bias', kinds[0].bias))
            stages.append(panels)
    return stages
