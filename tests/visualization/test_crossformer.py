"""The drawn attention is that of the block."""
import torch
from helpers.cases import BACKBONES

from mmvisattn.visualization.crossformer import attended_by, attended_in_stages


def test_weights_are_those_of_the_block():
    """The weights sum to 1, and the attention output at the token depends on exactly the tokens that have a weight."""
    block = BACKBONES['CrossFormer'].build().eval().stages[0].blocks[1]
    x = torch.randn(1, 10, 11, 32)
    attended = attended_by(block, x, (7, 5))
    inside = ~attended.weights.isnan()
    torch.testing.assert_close(attended.weights[inside].sum(), torch.tensor(1.0))
    assert inside[7, 5] and inside.sum() < inside.numel()
    x.requires_grad_()
    from mmvisattn.models.crossformer.grouping import Grouping
    grouping = Grouping.of(10, 11, *block.kind(10, 11), x.device)
    block.attn(x, grouping)[0, 7, 5].sum().backward()
    reached = x.grad[0].abs().sum(-1) > 0
    assert torch.equal(reached, inside)


def test_bias_is_by_offset():
    block = BACKBONES['CrossFormer'].build().eval().stages[0].blocks[0]
    attended = attended_by(block, torch.randn(1, 12, 12, 32), (1, 1))
    assert attended.bias.shape == (7, 7)
    offsets = torch.tensor([2.0, -1.0])
    expected = block.attn.position_bias.mlp(offsets).mean()
    torch.testing.assert_close(attended.bias[2 + 3, -1 + 3], expected)


def test_stages_without_long_distance_blocks_say_none():
    arch = dict(BACKBONES['CrossFormer'].tiny['arch'], depths=(1, 2, 2, 2))
    model = BACKBONES['CrossFormer'].build(arch=arch).eval()
    stages = attended_in_stages(model, torch.randn(1, 3, 96, 64), (1.0, 1.0))
    assert stages[0][1].values is None and all(panel.values is not None for panels in stages[1:] for panel in panels)
    assert stages[0][0].token == (23, 15)
