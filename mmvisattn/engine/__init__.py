"""Running trainings: parts that mmengine's Runner builds, and what the tools share."""
from .progressive_patches import ProgressiveBatchSampler, ProgressivePatchHook

__all__ = ['ProgressiveBatchSampler', 'ProgressivePatchHook']
