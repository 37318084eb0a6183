"""Layers and helpers that two or more papers share. The blocks of one paper are in its package in ``mmvisattn.models``."""
from .blocks import BlockSequence, checkpointed, drop_path_rates, stochastic_depth
from .chunks import chunks_of, in_chunks
from .conv_norm_act import ConvNormAct, fuse_conv_bn, has_hooks
from .exporting import is_exporting
from .memory_format import apply_channels_last, to_contiguous, to_fast_format

__all__ = [
    'BlockSequence', 'ConvNormAct', 'apply_channels_last', 'checkpointed', 'chunks_of', 'drop_path_rates',
    'fuse_conv_bn', 'has_hooks', 'in_chunks', 'is_exporting', 'stochastic_depth', 'to_contiguous', 'to_fast_format',
]

# Old import paths: these blocks were here before each paper got its own package.
MOVED = ('GDFN', 'MDTA', 'RestormerBlock', 'ScaleAwareModulation')


def __getattr__(name: str):
    if name in MOVED:
        from mmvisattn import models
        return getattr(models, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
