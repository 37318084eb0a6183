"""CrossFormer (ICLR 2022, https://arxiv.org/abs/2108.00154) and CrossFormer++ (TPAMI 2023,
https://arxiv.org/abs/2303.06908)."""
from .backbone import CrossFormer
from .cross_scale_embedding import CrossScaleEmbedding
from .dynamic_position_bias import DynamicPositionBias

__all__ = ['CrossFormer', 'CrossScaleEmbedding', 'DynamicPositionBias']
