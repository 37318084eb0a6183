"""The public face of the models: what configs build under the scope ``mmvisattn``, and the blocks it is made of.

Each paper has a package of its own: ``crossformer``, ``topformer``, ``smt``, ``restormer``. No one imports another.
"""
from mmvisattn.dependencies import require

require('mmcv', 'mmvisattn.models')

from .crossformer import CrossFormer, CrossScaleEmbedding, DynamicPositionBias  # noqa: E402
from .restormer import GDFN, MDTA, MDTANeck, Restormer, RestormerBlock, RestormerEncoder  # noqa: E402
from .smt import SMT, ScaleAwareModulation  # noqa: E402
from .topformer import SemanticInjection, SemanticsExtractor, TopFormer  # noqa: E402

__all__ = [
    'GDFN', 'MDTA', 'SMT', 'CrossFormer', 'CrossScaleEmbedding', 'DynamicPositionBias', 'MDTANeck', 'Restormer',
    'RestormerBlock', 'RestormerEncoder', 'ScaleAwareModulation', 'SemanticInjection', 'SemanticsExtractor', 'TopFormer',
]
