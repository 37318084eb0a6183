"""The modulation and the attention in each stage of an SMT."""
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mmvisattn.layers import apply_channels_last
from mmvisattn.models import SMT, ScaleAwareModulation
from mmvisattn.models.smt.backbone import GlobalAttention

from .attention_picture import Overlay, Panel, inputs_of, token_at


def _last(kind: type, modules: Iterable[nn.Module]) -> nn.Module | None:
    return next((module for module in reversed(list(modules)) if isinstance(module, kind)), None)


def modulation_map(mixer: ScaleAwareModulation, x: Tensor) -> Tensor:
    """How strongly a map (1, C, H, W) is modulated: (H, W), the modulator's magnitude, mean of the channels."""
    _, heads = mixer.value_and_heads(x)
    return mixer.aggregation(heads)[0].abs().mean(0).float()


def attention_map(mixer: GlobalAttention, x: Tensor, token: tuple[int, int]) -> Tensor:
    """What ``token`` of a map (1, C, H, W) attends to: (H, W), weights that sum to 1, mean of the heads."""
    q, k, _ = mixer.heads(apply_channels_last(mixer.qkv, x))[:, 0]
    query = token[0] * x.shape[-1] + token[1]
    weights = (q[:, query:query + 1] @ k.mT / q.shape[-1]**0.5).softmax(-1)
    return weights.mean(0).view(x.shape[-2:]).float()


def modulation_in_stages(model: SMT, image: Tensor, point: tuple[float, float]) -> list[list[Panel]]:
    """For each stage, the magnitude of the modulator in its last modulation, and what the token at ``point`` (x, y as
    fractions of the image) attends to in its last attention.

    Args:
        model: in eval mode.
        image: (1, 3, H, W), normalised.
        point: where the token is.
    """
    mixers = [[block.mixer for block in stage.blocks] for stage in model.stages]
    stages: list[list[Panel]] = []
    with inputs_of([mixer for stage in mixers for mixer in stage]) as inputs, torch.no_grad():
        model(image)
        for i, of_stage in enumerate(mixers):
            modulation, attention = (_last(kind, of_stage) for kind in (ScaleAwareModulation, GlobalAttention))
            modulated = Overlay(f'stage {i + 1}, modulation', None)
            attended = Overlay(f'stage {i + 1}, attention', None)
            if isinstance(modulation, ScaleAwareModulation):
                modulated = Overlay(modulated.title, modulation_map(modulation, inputs[modulation]))
            if isinstance(attention, GlobalAttention):
                x = inputs[attention]
                token = token_at(point, *x.shape[-2:])
                attended = Overlay(attended.title, attention_map(attention, x, token), token)
            stages.append([modulated, attended])
    return stages
