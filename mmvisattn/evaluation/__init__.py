"""Metrics that mmengine's Runner evaluates with."""
from .restoration_metric import RestorationMetric

__all__ = ['RestorationMetric']
