from .crossformer import CrossFormer
from .restormer_encoder import RestormerEncoder
from .smt import SMT
from .topformer import TopFormer

__all__ = ['CrossFormer', 'RestormerEncoder', 'SMT', 'TopFormer']
