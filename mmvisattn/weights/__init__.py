"""Published checkpoints: finding them by name, fetching them, reading them safely and loading them strictly."""
from .catalog import ModelEntry, find_model, list_models, official_weights, similar_models
from .download import DownloadError
from .initializer import OfficialPretrained
from .loading import LoadReport, is_official, load_official, load_whole
from .reading import WEIGHTS, read_checkpoint, read_weights

__all__ = [
    'WEIGHTS', 'DownloadError', 'LoadReport', 'ModelEntry', 'OfficialPretrained', 'find_model', 'is_official', 'list_models',
    'load_official', 'load_whole', 'official_weights', 'read_checkpoint', 'read_weights', 'similar_models'
]
