"""TopFormer (CVPR 2022, https://arxiv.org/abs/2204.05525)."""
from mmvisattn.dependencies import lacking
from mmvisattn.registry import MODELS, register_missing

from .backbone import TopFormer
from .semantic_injection import SemanticInjection
from .semantics_extractor import SemanticsExtractor

if missing := lacking('mmseg'):
    register_missing(MODELS, 'SimpleHead', missing)
else:
    from .simple_head import SimpleHead  # noqa: F401

__all__ = ['SemanticInjection', 'SemanticsExtractor', 'TopFormer']
