"""Restormer (CVPR 2022, https://arxiv.org/abs/2111.09881), its encoder as a backbone, and a neck of its blocks."""
from .block import GDFN, MDTA, RestormerBlock
from .encoder import RestormerEncoder
from .mdta_neck import MDTANeck
from .restormer import Restormer

__all__ = ['GDFN', 'MDTA', 'MDTANeck', 'Restormer', 'RestormerBlock', 'RestormerEncoder']
