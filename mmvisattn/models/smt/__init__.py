"""SMT, Scale-Aware Modulation Transformer (ICCV 2023, https://arxiv.org/abs/2307.08579)."""
from .backbone import SMT
from .scale_aware_modulation import ScaleAwareModulation

__all__ = ['SMT', 'ScaleAwareModulation']
