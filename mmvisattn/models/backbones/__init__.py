from .crossformer import CrossFormer
from .topformer import TopFormer

__all__ = ['CrossFormer', 'TopFormer']
