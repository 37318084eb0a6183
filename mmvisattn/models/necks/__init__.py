from .mdta_neck import MDTANeck
from .semantic_injection import SemanticInjection

__all__ = ['MDTANeck', 'SemanticInjection']
