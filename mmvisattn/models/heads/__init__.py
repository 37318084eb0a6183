"""Heads for mmseg; without it, building one says how to install it."""
from mmvisattn.dependencies import installed
from mmvisattn.registry import MODELS, register_missing

if installed('mmseg'):
    from .simple_head import SimpleHead  # noqa: F401
else:
    register_missing(MODELS, 'SimpleHead', 'mmseg')
