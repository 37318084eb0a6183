"""The common base of all backbones: choosing outputs, freezing, official weights."""
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from typing import Any

from mmengine.model import BaseModule, initialize
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import Tensor, nn

from mmvisattn.weights.initializer import OfficialPretrained
from mmvisattn.weights.key_map import KeyMap

InitCfg = dict | list[dict] | None


def check_images(x: Tensor) -> None:
    """Check that ``x`` is a batch of floating point images (B, C, H, W).

    Raises:
        TypeError: if it is no tensor.
        ValueError: if it is not; the message says how to fix it.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f'expected a tensor of images (B, C, H, W), but got {type(x).__name__}')
    if x.dim() != 4:
        raise ValueError(f'expected a batch of images (B, C, H, W), but got a tensor of shape {tuple(x.shape)}'
                         + ('; x[None] makes a batch of one image' if x.dim() == 3 else ''))
    if not x.is_floating_point():
        raise ValueError(f'expected floating point images, but got {x.dtype}; first subtract the mean and divide by the '
                         'standard deviation, as the data preprocessor of a config does')


def check_maps(name: str, maps: Iterable[Tensor]) -> None:
    """Check that the inputs of a neck or head are maps (B, C, H, W) of floating-point numbers.

    Raises:
        ValueError: naming the first that is not.
    """
    for i, x in enumerate(maps):
        if x.dim() != 4 or not x.is_floating_point():
            raise ValueError(f'{name} takes floating-point maps (B, C, H, W), but map {i} is {x.dtype} of shape '
                             f'{tuple(x.shape)}')


def arch_settings(arch: str | Mapping, named: Mapping[str, Mapping], **defaults: object) -> dict:
    """The settings of a named architecture, or of one given as a dict.

    Args:
        arch: a name, or the settings themselves.
        named: the settings of each name.
        defaults: default values of the settings that may be left out.

    Raises:
        ValueError: if the name is unknown, or a key of the dict is missing or unknown.
    """
    required = sorted(set().union(*named.values()) - set(defaults))
    if isinstance(arch, str):
        if arch not in named:
            similar = get_close_matches(arch, named, n=1)
            raise ValueError(f"arch='{arch}' is not one of {sorted(named)}"
                             + (f" (did you mean '{similar[0]}'?)" if similar else '')
                             + f'; for another architecture, give a dict with the keys {required}')
        arch = named[arch]
    if not isinstance(arch, Mapping):
        raise ValueError(f'arch={arch!r} is neither one of {sorted(named)} nor a dict with the keys {required}')
    if not set(required) <= set(arch) <= {*required, *defaults}:
        optional = f', and may have {sorted(defaults)}' if defaults else ''
        raise ValueError(f'arch has the keys {sorted(arch)} but needs exactly {required}{optional}')
    return deepcopy(dict(defaults, **arch))


class Backbone(BaseModule):
    """Base class of the backbones.

    A subclass passes the channels of its maps to this constructor, builds only the stages below ``num_built`` (stages that
    no output needs would get no gradient), lists the modules of each stage in ``stage_modules``, and calls ``freeze`` at
    the end of its constructor. Its ``forward`` takes images (B, C, H, W) and returns contiguous maps (B, C_i, H_i, W_i),
    see ``to_contiguous``.

    Args:
        out_channels: channels of all maps that the backbone can return, one per stage.
        out_indices: indices of the maps to return, in this order; negative ones count from the end.
        frozen_stages: stages up to this one, counted from 1, keep their parameters and norm statistics; 0 freezes only the
            stem, -1 nothing.
        init_cfg: as in mmengine; ``type='mmvisattn.OfficialPretrained'`` loads the authors' published weights. None: the
            class's ``default_init_cfg``.

    Attributes:
        archs: the settings of each named architecture.
        official_names: maps the names in the authors' checkpoints to ours; None if the class has no official weights.
        default_init_cfg: how parameters are initialised by default.
        out_channels: channels of all maps, returned or not.
        num_built: number of stages that are built: up to the last one that is returned.

    Raises:
        ValueError: if ``out_indices`` or ``frozen_stages`` is out of range.
    """

    archs: dict[str, dict[str, Any]] = {}
    official_names: KeyMap | None = None
    default_init_cfg: list[dict] = []

    def __init__(self, out_channels: Sequence[int], out_indices: Sequence[int], frozen_stages: int,
                 init_cfg: InitCfg = None):
        if isinstance(init_cfg, str):
            raise TypeError(f"init_cfg={init_cfg!r} must be a dict, such as dict(type='mmvisattn.OfficialPretrained', "
                            f'checkpoint={init_cfg!r})')
        if isinstance(init_cfg, dict) and init_cfg and 'type' not in init_cfg:
            raise TypeError(f"init_cfg={init_cfg!r} has no type, such as type='mmvisattn.OfficialPretrained'")
        super().__init__(init_cfg or self.default_init_cfg)
        self.init_cfg: InitCfg
        num_stages = len(out_channels)
        if not isinstance(out_indices, Sequence):
            raise ValueError(f'out_indices={out_indices!r} must be a list of outputs'
                             + (f', such as [{out_indices}]' if isinstance(out_indices, int) else ''))
        if not out_indices or not all(-num_stages <= i < num_stages for i in out_indices):
            raise ValueError(f'out_indices={tuple(out_indices)} must choose one or more of the {num_stages} outputs, '
                             f'by indices from {-num_stages} to {num_stages - 1}')
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(f'frozen_stages={frozen_stages} must lie in -1 to {num_stages}')
        self.out_channels = list(out_channels)
        self.out_indices = tuple(i % num_stages for i in out_indices)
        self.num_built = max(self.out_indices) + 1
        self.frozen_stages = frozen_stages

    def stage_modules(self) -> list[list[nn.Module]]:
        """The modules of the stem, then those of each built stage, in the order of ``frozen_stages``."""
        raise NotImplementedError

    def output_norms(self) -> dict[int, nn.Module]:
        """The norm after the last block of a stage, by the stage's index, in families that have such norms."""
        return {}

    def unbuilt_names(self) -> tuple[str, ...]:
        """Name prefixes of the tensors of the stages that are not built."""
        raise NotImplementedError

    def parameter_layers(self) -> dict[int, int]:
        """The layer of each parameter, by its ``id``: 0 for the stem, then one more for each block.

        An output norm belongs to the layer of the stage's last block, other modules, such as an embedding, to that of the
        first one.
        """
        stem, *stages = self.stage_modules()
        norms = self.output_norms()
        layers, depth = {}, 0
        for i, modules in enumerate(stages):
            blocks: Any = getattr(modules[0], 'blocks', modules[0])
            layers.update({id(p): depth + 1 for module in modules for p in module.parameters()})
            layers.update({id(p): depth + 1 + j for j, block in enumerate(blocks) for p in block.parameters()})
            depth += len(blocks)
            layers.update({id(p): depth for p in (norms[i].parameters() if i in norms else ())})
        return layers | {id(p): 0 for module in stem for p in module.parameters()}

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
        """Like mmengine's, but ``OfficialPretrained`` is applied last (mmengine does so for 'Pretrained' only)."""
        given = self.init_cfg
        cfgs = given if isinstance(given, list) else [given] if given else []
        official = [cfg for cfg in cfgs if WEIGHT_INITIALIZERS.get(cfg['type']) is OfficialPretrained]
        self.init_cfg = [cfg for cfg in cfgs if cfg not in official]
        super().init_weights()
        self.init_cfg = given
        if official:
            initialize(self, official)
