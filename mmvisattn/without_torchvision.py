"""mmpretrain without torchvision.

mmpretrain imports torchvision, and does not list it among its requirements
(https://github.com/open-mmlab/mmpretrain/blob/main/mmpretrain/datasets/transforms/processing.py). None of its parts that the
configs of this package use needs it. Only its ``torchvision/…`` transforms, some transforms for self-supervised and
multimodal models, and its metric of visual grounding do.

``python -m mmvisattn.without_torchvision SCRIPT …`` runs a script of mmpretrain's in the same way, and lets it read
checkpoints of trainings, without running code of theirs.
"""
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from runpy import run_path
from types import ModuleType

from mmvisattn.dependencies import installed
from mmvisattn.weights.safety import read_checkpoints_safely

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


@contextmanager
def stand_ins() -> Iterator[None]:
    """If torchvision is not installed, modules without content are in its place within the block."""
    missing = () if 'torchvision' in sys.modules or installed('torchvision') else IMPORTED
    for name in missing:
        module = sys.modules[name] = _StandIn(name)
        parent, _, child = name.rpartition('.')
        if parent:
            setattr(sys.modules[parent], child, module)
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


def import_mmpretrain() -> None:
    """Import mmpretrain, also without torchvision."""
    with stand_ins():
        for name in IMPORTERS:
            import_module(name)


if __name__ == '__main__':
    sys.argv = sys.argv[1:]
    read_checkpoints_safely()
    with stand_ins():
        run_path(sys.argv[0], run_name='__main__')
