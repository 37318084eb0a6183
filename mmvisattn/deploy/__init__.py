"""Models outside of Python: export to ONNX and OpenVINO, and use of the files. ``tools/export.py`` is its command."""
from .exporting import FORMATS, ExportError, export
from .graphs import OUTPUTS, DeployedModel, deployed_model
from .predictors import load_exported
from .runtimes import SUFFIXES, open_exported

__all__ = ['FORMATS', 'OUTPUTS', 'SUFFIXES', 'DeployedModel', 'ExportError', 'deployed_model', 'export', 'load_exported',
           'open_exported']
