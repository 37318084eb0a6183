"""Visual attention backbones, necks and heads for the OpenMMLab stack."""
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .inference import load
    from .weights import list_models
    from .weights.safety import read_checkpoints_safely

__version__ = '0.1.0'
__all__ = ['list_models', 'load', 'read_checkpoints_safely']

# Imported when first used: mmengine imports this package for its registry, and torch alone is enough for that.
_PLACES = {'list_models': 'mmvisattn.weights', 'load': 'mmvisattn.inference',
           'read_checkpoints_safely': 'mmvisattn.weights.safety'}


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module 'mmvisattn' has no attribute '{name}'")
    return getattr(import_module(_PLACES[name]), name)
