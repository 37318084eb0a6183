"""Models by name, and their predictions: ``mmvisattn.load(…).predict(…)``."""
from .loading import load
from .predictor import Predictor
from .results import ClassificationResult, DetectionResult, RestorationResult, Result, SegmentationResult

__all__ = [
    'ClassificationResult', 'DetectionResult', 'Predictor', 'RestorationResult', 'Result', 'SegmentationResult', 'load'
]
