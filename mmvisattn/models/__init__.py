"""The public models: the classes that configs build under the scope ``mmvisattn``, and their blocks.

Each paper has its own package: ``crossformer``, ``topformer``, ``smt``, ``restormer``. None of them imports another.
"""
from mmvisattn.dependencies import lacking, require

require('mmcv', 'mmvisattn.models')

from mmvisattn.registry import MODELS, register_missing  # noqa: E402

from .crossformer import CrossFormer, CrossScaleEmbedding, DynamicPositionBias  # noqa: E402
from .restormer import GDFN, MDTA, MDTANeck, Restormer, RestormerBlock, RestormerEncoder  # noqa: E402
from .smt import SMT, ScaleAwareModulation  # noqa: E402
from .topformer import SemanticInjection, SemanticsExtractor, TopFormer  # noqa: E402

if missing := lacking('mmseg'):
    register_missing(MODELS, 'WeightedCrossEntropy', missing)
else:
    from .weighted_cross_entropy import WeightedCrossEntropy  # noqa: F401

__all__ = [
    'GDFN', 'MDTA', 'SMT', 'CrossFormer', 'CrossScaleEmbedding', 'DynamicPositionBias', 'MDTANeck', 'Restormer',
    'RestormerBlock', 'RestormerEncoder', 'ScaleAwareModulation', 'SemanticInjection', 'SemanticsExtractor', 'TopFormer',
]
