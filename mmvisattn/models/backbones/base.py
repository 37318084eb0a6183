"""What every backbone of the package does the same way: choosing outputs, freezing, official weights."""
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy

from mmengine.model import BaseModule, initialize
from torch import nn

OFFICIAL_PRETRAINED = 'OfficialPretrained'


def arch_settings(arch: str | Mapping, named: Mapping[str, Mapping], **defaults: object) -> dict:
    """The settings of a named architecture, or of one given as a dict.

    Args:
        arch: a name, or the settings themselves.
        named: the settings of each name.
        defaults: settings that may be left out, and their values then.

    Raises:
        ValueError: if the name is unknown, or the dict lacks a key or has one too many.
    """
    required = sorted(set().union(*named.values()) - set(defaults))
    if isinstance(arch, str):
        if arch not in named:
            raise ValueError(f"arch='{arch}' is not one of {sorted(named)}; a dict with the keys {required} "
                             'describes another')
        arch = named[arch]
    if not set(required) <= set(arch) <= {*required, *defaults}:
        optional = f', and may have {sorted(defaults)}' if defaults else ''
        raise ValueError(f'arch has the keys {sorted(arch)} but needs exactly {required}{optional}')
    return deepcopy(dict(defaults, **arch))


class Backbone(BaseModule):
    """Base of the backbones.

    Args:
        num_outputs: how many maps the backbone can return.
        out_indices: which of them it returns, in this order; negative ones count from the end.
        frozen_stages: stages up to this one keep their parameters and norm statistics; stage 0 is the first embedding
            alone (where a family counts stages from 1), -1 freezes nothing.
        num_stages: the largest ``frozen_stages``.
        init_cfg: as in mmengine; ``type='mmvisattn.OfficialPretrained'`` loads the authors' published weights.

    Raises:
        ValueError: if ``out_indices`` or ``frozen_stages`` is out of range.
    """

    def __init__(self,
                 num_outputs: int,
                 out_indices: Sequence[int],
                 frozen_stages: int,
                 num_stages: int,
                 init_cfg: dict | list[dict] | None = None):
        super().__init__(init_cfg)
        self.init_cfg: dict | list[dict] | None
        if not out_indices or not all(-num_outputs <= i < num_outputs for i in out_indices):
            raise ValueError(f'out_indices={tuple(out_indices)}: there are {num_outputs} outputs, '
                             f'so each index must lie in 0 to {num_outputs - 1}')
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(f'frozen_stages={frozen_stages} must lie in -1 to {num_stages}')
        self.out_indices = tuple(i % num_outputs for i in out_indices)
        self.frozen_stages = frozen_stages

    def stage_modules(self) -> list[list[nn.Module]]:
        """The modules of each stage, counted as ``frozen_stages`` counts them."""
        raise NotImplementedError

    def frozen_modules(self) -> Iterable[nn.Module]:
        return (module for modules in self.stage_modules()[:self.frozen_stages + 1] for module in modules)

    def freeze(self) -> None:
        for module in self.frozen_modules():
            module.eval().requires_grad_(False)

    def train(self, mode: bool = True):
        super().train(mode)
        for module in self.frozen_modules():
            module.eval()
        return self

    def init_weights(self) -> None:
        """As mmengine's, with official weights loaded last, as mmengine itself does with ``type='Pretrained'`` only."""
        given = self.init_cfg
        cfgs = given if isinstance(given, list) else [given] if given else []
        official = [cfg for cfg in cfgs if str(cfg['type']).split('.')[-1] == OFFICIAL_PRETRAINED]
        self.init_cfg = [cfg for cfg in cfgs if cfg not in official]
        super().init_weights()
        self.init_cfg = given
        if official:
            initialize(self, official)
