"""The authors' published checkpoints: reading them safely and loading them strictly."""
from .initializer import OfficialPretrained
from .loading import LoadReport, is_official, load_official
from .reading import WEIGHTS, read_checkpoint, read_weights

__all__ = ['WEIGHTS', 'LoadReport', 'OfficialPretrained', 'is_official', 'load_official', 'read_checkpoint', 'read_weights']
