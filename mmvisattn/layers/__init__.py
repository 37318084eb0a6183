"""Parts that several models share."""
from .activation_checkpoint import run
from .conv_bn import ConvNormAct, fuse_conv_bn
from .cross_scale_embedding import CrossScaleEmbedding
from .grouping import Grouping
from .layout import channels_last, fast_layout, standard_layout
from .portions import in_bands, in_portions, portion_slices
from .position_bias import DynamicPositionBias, bias_between_tokens
from .restormer_block import GDFN, MDTA, ChannelNorm, RestormerBlock
from .scale_aware_modulation import MultiHeadMixedConv, ScaleAwareAggregation, ScaleAwareModulation
from .semantics_extractor import SemanticsExtractor, pyramid_pooling

__all__ = [
    'GDFN', 'MDTA', 'ChannelNorm', 'ConvNormAct', 'CrossScaleEmbedding', 'DynamicPositionBias', 'Grouping',
    'MultiHeadMixedConv', 'RestormerBlock', 'ScaleAwareAggregation', 'ScaleAwareModulation', 'SemanticsExtractor',
    'bias_between_tokens', 'channels_last', 'fast_layout', 'fuse_conv_bn', 'in_bands', 'in_portions', 'portion_slices',
    'pyramid_pooling', 'run', 'standard_layout',
]
