from .image_restorer import ImageRestorer
from .restormer import Restormer

__all__ = ['ImageRestorer', 'Restormer']
