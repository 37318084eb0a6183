"""The architecture of a Restormer, read from the shapes of its tensors."""
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmvisattn.models.restormer.official_names import OFFICIAL_NAMES

BACKBONE = 'backbone.'


def _own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by our names without ``backbone.``, whether the file has ours or the authors'."""
    names = {name: BACKBONE + name.removeprefix('module.').removeprefix(BACKBONE) for name in state}
    return {OFFICIAL_NAMES.translate(full, ()).removeprefix(BACKBONE): state[name] for name, full in names.items()}


def _count(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """How many modules of a list there are."""
    numbers = [int(match[1]) for name in tensors if (match := re.match(rf'{re.escape(prefix)}\.(\d+)\.', name))]
    return max(numbers, default=-1) + 1


def _expansion(hidden: list[int], dims: list[int]) -> float:
    """A factor that gives these hidden channels when rounded down; the paper's 2.66 if that does."""
    lowest = max(number / dim for number, dim in zip(hidden, dims))
    highest = min((number + 1) / dim for number, dim in zip(hidden, dims))
    return 2.66 if lowest <= 2.66 < highest else (lowest + highest) / 2


def restormer_settings(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of ``Restormer`` that fit a state dict, of this package or of the authors'.

    Raises:
        ValueError: if the tensors are not those of a Restormer.
    """
    tensors = _own_names(state)
    try:
        embedding = tensors['encoder.embedding.weight']
        levels = [f'encoder.levels.{i}' for i in range(_count(tensors, 'encoder.levels'))]
        first = f'{levels[0]}.0'
        return dict(
            in_channels=embedding.shape[1],
            out_channels=tensors['output.weight'].shape[0],
            embed_dims=embedding.shape[0],
            depths=tuple(_count(tensors, level) for level in levels),
            num_refinement_blocks=_count(tensors, 'refinement'),
            num_heads=tuple(len(tensors[f'{level}.0.attn.temperature']) for level in levels),
            ffn_expansion_factor=_expansion([tensors[f'{level}.0.ffn.proj.weight'].shape[1] for level in levels],
                                            [tensors[f'{level}.0.ffn.proj.weight'].shape[0] for level in levels]),
            bias=f'{first}.attn.qkv.bias' in tensors,
            norm='with_bias' if f'{first}.norm1.bias' in tensors else 'bias_free',
            dual_pixel='skip.weight' in tensors)
    except (KeyError, IndexError) as error:
        raise ValueError(f'these are not the weights of a Restormer: {error} is missing') from error
