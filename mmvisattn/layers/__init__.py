"""Parts that several models share."""
from .activation_checkpoint import run
from .conv_bn import ConvNormAct, fuse_conv_bn
from .layout import fast_layout
from .semantics_extractor import SemanticsExtractor, pyramid_pooling

__all__ = ['ConvNormAct', 'SemanticsExtractor', 'fast_layout', 'fuse_conv_bn', 'pyramid_pooling', 'run']
