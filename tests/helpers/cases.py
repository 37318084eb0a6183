"""What is under the contracts of ``tests/models``: a new family adds an entry to ``BACKBONES``."""
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from mmengine.registry import MODELS


def randomized(model):
    """The model in eval mode, with random one-dimensional parameters and statistics, so that no default hides an error."""
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if tensor.is_floating_point() and tensor.dim() <= 1:
                tensor.uniform_(0.5, 1.5) if 'var' in name or 'weight' in name else tensor.normal_(std=0.1)
    return model.eval()


@dataclass(frozen=True)
class BackboneCase:
    """A tiny variant of a family, and the maps that it must return.

    Attributes:
        type: the registered name, without scope.
        tiny: constructor arguments of a variant that is fast to run.
        strides: strides of the returned maps.
        channels: channels of the returned maps of the tiny variant.
        archs: the channels that each named variant returns.
        num_stages: the largest ``frozen_stages``.
        shortest: settings of ``arch`` that leave one block of each kind per stage, for what takes seconds per block.
        first_side: side of the image to side of the first map.
    """
    type: str
    tiny: dict
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    archs: dict[str, tuple[int, ...]]
    num_stages: int
    shortest: dict = field(default_factory=dict)
    first_side: Callable[[int], int] = lambda side: math.ceil(side / 4)

    def build(self, **kwargs):
        return MODELS.build(dict(type=f'mmvisattn.{self.type}', **dict(self.tiny, **kwargs)))

    def build_shortest(self, **kwargs):
        return self.build(arch=dict(self.tiny['arch'], **self.shortest), **kwargs)

    def build_arch(self, arch: str):
        return MODELS.build(dict(type=f'mmvisattn.{self.type}', arch=arch))


BACKBONES = {
    case.type: case
    for case in [
        BackboneCase(
            type='CrossFormer',
            tiny=dict(arch=dict(
                embed_dims=32, depths=(2, 2, 4, 2), num_heads=(1, 2, 4, 8), group_size=4, interval=(3, 2, 2, 1),
                with_cooling=True)),
            strides=(4, 8, 16, 32),
            channels=(32, 64, 128, 256),
            archs={
                'tiny': (64, 128, 256, 512), 'small': (96, 192, 384, 768), 'base': (96, 192, 384, 768),
                'large': (128, 256, 512, 1024), 'pp-small': (64, 128, 256, 512), 'pp-base': (96, 192, 384, 768),
                'pp-large': (128, 256, 512, 1024), 'pp-huge': (128, 256, 512, 1024)},
            num_stages=4,
            shortest=dict(depths=(2, 2, 2, 2))),
        BackboneCase(
            type='RestormerEncoder',
            tiny=dict(arch=dict(embed_dims=8, depths=(1, 1, 2, 1), num_heads=(1, 2, 2, 4))),
            strides=(1, 2, 4, 8),
            channels=(8, 16, 32, 64),
            archs=dict(small=(24, 48, 96, 192), base=(48, 96, 192, 384)),
            num_stages=4,
            shortest=dict(depths=(1, 1, 1, 1)),
            first_side=lambda side: side),
        BackboneCase(
            type='SMT',
            tiny=dict(arch=dict(
                embed_dims=32, depths=(1, 1, 2, 1), mlp_ratios=(2, 2, 2, 2), stem_kernel=3, pattern=('M', 'M', 'MA', 'A'),
                modulation_heads=(4, 2, 4, 4), attention_heads=(1, 2, 4, 8))),
            strides=(4, 8, 16, 32),
            channels=(32, 64, 128, 256),
            archs=dict(tiny=(64, 128, 256, 512), small=(64, 128, 256, 512), base=(64, 128, 256, 512),
                       large=(96, 192, 384, 768)),
            num_stages=4,
            first_side=lambda side: max(1, math.ceil(side / 2) // 2)),
        BackboneCase(
            type='TopFormer',
            tiny=dict(
                arch=dict(
                    levels=(((3, 1, 16, 1), (3, 2, 16, 2)), ((5, 2, 24, 2),), ((3, 2, 32, 2), (3, 2, 32, 1)),
                            ((5, 2, 40, 2),)),
                    num_heads=2,
                    num_blocks=2)),
            strides=(4, 8, 16, 32, 64),
            channels=(16, 24, 32, 40, 112),
            archs=dict(
                tiny=(16, 32, 64, 96, 208), small=(24, 48, 96, 128, 296), base=(32, 64, 128, 160, 384)),
            num_stages=5,
            shortest=dict(levels=(((3, 1, 16, 1), (3, 2, 16, 2)), ((5, 2, 24, 2),), ((3, 2, 32, 2),), ((5, 2, 40, 2),)),
                          num_blocks=1)),
    ]
}
