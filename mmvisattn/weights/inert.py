"""The contents of checkpoints besides tensors, read as plain data.

``torch.load(weights_only=True)`` calls the functions on its list with any arguments that a file gives. numpy's own
constructors are not safe then: they can build objects over memory that the file chooses. So each name on the list is mapped
to a class or function of this module, which makes only numbers, texts or nothing.
"""
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

NUMBERS_AND_TEXTS = re.compile(r'[?biufcSU]\d*$')


class Inert:
    """Placeholder for an object whose content is not needed, such as a path or a date."""

    def __new__(cls, *_):
        return super().__new__(cls)

    def __init__(self, *_):
        pass

    def __setstate__(self, state: object) -> None:
        pass


class DType:
    """A pickled ``numpy.dtype`` of numbers or texts."""

    def __init__(self, code: str, *_):
        if not NUMBERS_AND_TEXTS.match(str(code)):
            raise ValueError(f'arrays of numpy type {code!r} are not supported')
        self.dtype = np.dtype(str(code))

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class Array(np.ndarray):
    """A pickled array of numbers or texts. It is created empty, with any arguments, and filled once from its checked state.

    A second filling would free memory that a tensor made from the array may still use.
    """

    is_filled = False

    def __new__(cls, *_):
        return super().__new__(cls, 0, np.uint8)

    def __setstate__(self, state: tuple) -> None:
        version, shape, kind, is_fortran, data = state
        if self.is_filled:
            raise ValueError('an array is filled twice')
        self.is_filled = True
        if not isinstance(kind, DType) or not isinstance(data, bytes):
            raise ValueError('only arrays of numbers and texts are supported')
        if not all(isinstance(side, int) and side >= 0 for side in shape):
            raise ValueError(f'an array of shape {shape} is not valid')
        if len(data) != kind.dtype.itemsize * int(np.prod(shape, dtype=object)):
            raise ValueError(f'an array of shape {shape} and type {kind.dtype} has {len(data)} bytes')
        super().__setstate__((version, shape, kind.dtype, bool(is_fortran), data))  # type: ignore[arg-type]

    def __reduce__(self):
        return self.view(np.ndarray).__reduce__()  # pickled as a plain numpy array again


def _reconstruct(*_) -> Array:
    return Array()


def _scalar(kind: DType, data: bytes) -> np.generic:
    if not isinstance(kind, DType) or not isinstance(data, bytes) or len(data) != kind.dtype.itemsize:
        raise ValueError('only scalars of numbers and texts are supported')
    return np.frombuffer(data, kind.dtype)[0]


def _no_bytes(*_) -> bytes:
    return b''


# numpy 2 renamed numpy.core to numpy._core; files use either name. An empty array is pickled with bytes().
NUMPY_TYPES: list = [
    (Array, 'numpy.ndarray'), (DType, 'numpy.dtype'), (_no_bytes, 'builtins.bytes'), (_no_bytes, '__builtin__.bytes'),
    *((function, f'numpy.{core}.multiarray.{name}')
      for core in ('core', '_core') for name, function in (('_reconstruct', _reconstruct), ('scalar', _scalar))),
]


def _history_buffer_method(owner: type, name: str):
    """Stand-in for ``builtins.getattr`` in pickles: resolves public methods of HistoryBuffer and nothing else."""
    if owner is not HistoryBuffer or name.startswith('_'):
        raise TypeError(f'a checkpoint may refer to methods of HistoryBuffer only, not to {owner!r}.{name}')
    return getattr(owner, name)


# mmengine's training checkpoints hold the latest losses.
HISTORY_TYPES: list = [HistoryBuffer, (_history_buffer_method, 'builtins.getattr')]

# CrossFormer's and SMT's files hold their training configuration, TopFormer's files their command-line arguments.
INERT_TYPES: list = [
    (OrderedDict, 'yacs.config.CfgNode'),
    *((Inert, name) for name in (
        'argparse.Namespace', 'uuid.UUID',
        *(f'datetime.{name}' for name in ('date', 'datetime', 'time', 'timedelta', 'timezone')),
        *(f'{module}.{name}' for module in ('pathlib', 'pathlib._local')
          for name in ('Path', 'PosixPath', 'PurePosixPath', 'PureWindowsPath', 'WindowsPath')),
        *(f'{module}.{name}' for module in ('builtins', '__builtin__') for name in ('frozenset', 'range', 'set', 'slice')))),
    *NUMPY_TYPES, *HISTORY_TYPES,
]


@contextmanager
def readable(types: list) -> Iterator[None]:
    """While active, ``torch.load`` also reads these types.

    torch's own context manager takes them from its list afterwards even if they were there before: mmengine could then not
    resume after official weights have been read.
    """
    added = [kind for kind in types if kind not in torch.serialization.get_safe_globals()]
    with torch.serialization.safe_globals(added):
        yield
