"""Numbers of the log on a full disk."""
import logging
from collections.abc import Callable
from typing import Any

from mmengine.logging import print_log
from mmengine.visualization import LocalVisBackend as MMEngineLocalVisBackend
from mmengine.visualization import TensorboardVisBackend as MMEngineTensorboardVisBackend

from mmvisattn.registry import VISBACKENDS


def _attempt(write: Callable, *args: Any, **kwargs: Any) -> None:
    try:
        write(*args, **kwargs)
    except OSError as error:
        print_log(f'numbers of the log could not be written: {error}', logger='current', level=logging.ERROR)


class _Enduring:
    """What both backends do: a full disk does not end the training, and the log says so."""

    def add_scalar(self, *args: Any, **kwargs: Any) -> None:
        _attempt(super().add_scalar, *args, **kwargs)  # type: ignore[misc]

    def add_scalars(self, *args: Any, **kwargs: Any) -> None:
        _attempt(super().add_scalars, *args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        _attempt(super().close)  # type: ignore[misc]


@VISBACKENDS.register_module()
class LocalVisBackend(_Enduring, MMEngineLocalVisBackend):
    """mmengine's ``LocalVisBackend``, which does not end a training when the disk is full."""


@VISBACKENDS.register_module()
class TensorboardVisBackend(_Enduring, MMEngineTensorboardVisBackend):
    """mmengine's ``TensorboardVisBackend``, which does not end a training when the disk is full."""
