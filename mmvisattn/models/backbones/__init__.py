from .crossformer import CrossFormer
from .smt import SMT
from .topformer import TopFormer

__all__ = ['CrossFormer', 'SMT', 'TopFormer']
