"""The drawn maps are those of the block."""
import torch
from helpers.cases import BACKBONES

from mmvisattn.visualization.smt import attention_map, modulation_in_stages, modulation_map


def mixers(stage):
    return [block.mixer for block in BACKBONES['SMT'].build().eval().stages[stage].blocks]


def test_the_modulation_map_is_what_the_value_is_multiplied_with():
    mixer, x = mixers(0)[0], torch.randn(1, 32, 6, 7)
    value, _ = mixer.value_and_heads(x)
    modulator = torch.linalg.solve(mixer.proj.weight, (mixer(x) - mixer.proj.bias[:, None, None])[0].flatten(1))
    modulator = modulator.view(32, 6, 7) / value[0]
    torch.testing.assert_close(modulation_map(mixer, x), modulator.abs().mean(0), atol=1e-3, rtol=1e-3)


def test_attention_weights_are_those_of_the_block():
    """With values of 1 at one pixel and 0 elsewhere, the attention returns that pixel's weight."""
    mixer, x = mixers(2)[1], torch.randn(1, 128, 4, 5)
    weights = attention_map(mixer, x, (2, 3))
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
    q, k, _ = mixer.qkv(x.flatten(2).mT).unflatten(-1, (3, mixer.num_heads, -1)).permute(2, 0, 3, 1, 4)
    heads = torch.nn.functional.scaled_dot_product_attention(q, k, torch.eye(20).expand(1, mixer.num_heads, 20, 20))
    torch.testing.assert_close(weights, heads[0, :, 2 * 5 + 3].mean(0).view(4, 5))


def test_each_stage_shows_the_mixers_that_it_has():
    stages = modulation_in_stages(BACKBONES['SMT'].build().eval(), torch.randn(1, 3, 96, 64), (1.0, 0.0))
    assert [[panel.values is not None for panel in panels] for panels in stages] == [
        [True, False], [True, False], [True, True], [False, True]]
    assert stages[2][1].token == (0, 3) and stages[0][0].values.shape == (24, 16)
