"""TopFormer (CVPR 2022, https://arxiv.org/abs/2204.05525)."""
from mmvisattn.dependencies import installed
from mmvisattn.registry import MODELS, register_missing

from .backbone import TopFormer
from .semantic_injection import SemanticInjection
from .semantics_extractor import SemanticsExtractor

if installed('mmseg'):
    from .simple_head import SimpleHead  # noqa: F401
else:
    register_missing(MODELS, 'SimpleHead', 'mmseg')

__all__ = ['SemanticInjection', 'SemanticsExtractor', 'TopFormer']
