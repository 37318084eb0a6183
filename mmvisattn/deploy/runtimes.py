"""Exported files and the runtimes that run them."""
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import torch

from mmvisattn.dependencies import require

PREFIX = 'mmvisattn.'  # of our names in a file's metadata
NEEDED = ('output', 'outputs', 'preprocessing', 'size', 'batch', 'channels')  # by every reader of a file's metadata
NOT_OURS = 'was not written by tools/export.py: it does not say what images it takes'


class ExportedFile(ABC):
    """An exported model that can be run.

    Attributes:
        path: the file.
        metadata: the entries in its metadata, see ``docs/deployment.md``.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            texts = self.open()
        except Exception as error:  # each runtime has errors of its own
            raise ValueError(f'{path} cannot be opened: {" ".join(str(error).split())[:300]}') from error
        if 'task' not in texts:
            raise ValueError(f'{path} {NOT_OURS}')
        if lacking := [name for name in NEEDED if name not in texts]:
            raise ValueError(f'{path} lacks {", ".join(lacking)} in its metadata: export it again')
        try:
            self.metadata: dict[str, Any] = {name: json.loads(text) for name, text in texts.items()}
        except ValueError as error:
            raise ValueError(f'{path} has damaged metadata: export it again') from error

    @abstractmethod
    def open(self) -> dict[str, str]:
        """Load the file, and return its metadata, every value as JSON."""

    @abstractmethod
    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """The outputs for a batch of images, in the order of ``metadata['outputs']``."""


class OnnxFile(ExportedFile):
    """A file that onnxruntime runs on the CPU."""

    def open(self) -> dict[str, str]:
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        self.session = onnxruntime.InferenceSession(str(self.path), options, providers=['CPUExecutionProvider'])
        texts = self.session.get_modelmeta().custom_metadata_map
        return {name.removeprefix(PREFIX): text for name, text in texts.items() if name.startswith(PREFIX)}

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        return self.session.run(None, {self.session.get_inputs()[0].name: image})


class OpenVinoFile(ExportedFile):
    """A file that OpenVINO runs on the CPU."""

    def open(self) -> dict[str, str]:
        import openvino
        core = openvino.Core()
        model = core.read_model(str(self.path))
        options = {'INFERENCE_NUM_THREADS': torch.get_num_threads(), 'INFERENCE_PRECISION_HINT': 'f32'}
        self.compiled = core.compile_model(model, 'CPU', options)
        return {name: value.astype(str) for name, value in model.get_rt_info('mmvisattn').astype(dict).items()
                } if model.has_rt_info('mmvisattn') else {}

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        outputs = self.compiled(image)
        return [outputs[i] for i in range(len(self.compiled.outputs))]


class TorchExportFile(ExportedFile):
    """A program of ``torch.export``, run by PyTorch."""

    def open(self) -> dict[str, str]:
        if not is_zipfile(self.path):  # of which torch would log a traceback
            raise ValueError('it is damaged: no whole archive of torch.export')
        extra = {'mmvisattn.json': ''}
        self.module: Any = torch.export.load(str(self.path), extra_files=extra).module()
        return json.loads(extra['mmvisattn.json'] or '{}')

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            outputs = self.module(torch.from_numpy(image))
        return [one.numpy() for one in (outputs if isinstance(outputs, (tuple, list)) else [outputs])]


SUFFIXES: dict[str, tuple[type[ExportedFile], str]] = {
    '.onnx': (OnnxFile, 'onnxruntime'), '.xml': (OpenVinoFile, 'openvino'), '.pt2': (TorchExportFile, 'torch')}


def open_exported(path: str | Path) -> ExportedFile:
    """Open a file that ``tools/export.py`` wrote.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is no such file.
        ImportError: if its runtime is not installed; with the command.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no file {path}')
    if path.suffix not in SUFFIXES:
        raise ValueError(f'{path} is no exported file: their suffixes are {", ".join(SUFFIXES)}')
    kind, package = SUFFIXES[path.suffix]
    require(package, str(path))
    return kind(path)
