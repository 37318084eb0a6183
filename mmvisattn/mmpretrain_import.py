"""mmpretrain without torchvision.

mmpretrain imports torchvision, and does not list it among its requirements
(https://github.com/open-mmlab/mmpretrain/blob/main/mmpretrain/datasets/transforms/processing.py). None of its parts that the
configs of this package use needs it. Only its ``torchvision/…`` transforms, some transforms for self-supervised and
multimodal models, and its metric of visual grounding do.
"""
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

from mmvisattn.dependencies import installed

IMPORTERS = ('mmpretrain.datasets', 'mmpretrain.evaluation', 'mmpretrain.models')
IMPORTED = ('torchvision', 'torchvision.ops', 'torchvision.ops.boxes', 'torchvision.transforms',
            'torchvision.transforms.functional', 'torchvision.transforms.transforms')


class _Missing:
    """Base of what would be in torchvision."""

    def __init__(self, *_, **__):
        raise ImportError(f'{type(self).__name__} needs torchvision, which is not installed: pip install torchvision')


class _StandIn(ModuleType):
    """A module in which every name is a class that cannot be built."""

    def __init__(self, name: str):
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, name: str):
        if name.startswith('__'):  # what Python itself looks for
            raise AttributeError(name)
        return type(f'{self.__name__}.{name}', (_Missing,), {})


def import_mmpretrain() -> None:
    """Import mmpretrain, with stand-ins for torchvision's modules for that time, if torchvision is not installed."""
    if 'torchvision' in sys.modules or installed('torchvision'):
        return
    for name in IMPORTED:
        module = sys.modules[name] = _StandIn(name)
        parent, _, child = name.rpartition('.')
        if parent:
            setattr(sys.modules[parent], child, module)
    try:
        for name in IMPORTERS:
            import_module(name)
    finally:
        for name in IMPORTED:
            del sys.modules[name]
