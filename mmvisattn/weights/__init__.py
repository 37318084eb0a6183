"""The authors' published checkpoints: reading them safely and loading them strictly."""
from .initializer import OfficialPretrained
from .loading import LoadReport, load_official
from .reading import read_checkpoint

__all__ = ['LoadReport', 'OfficialPretrained', 'load_official', 'read_checkpoint']
