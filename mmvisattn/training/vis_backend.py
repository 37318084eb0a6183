"""Logged numbers on a full disk."""
import logging
from collections.abc import Callable
from typing import Any

from mmengine.logging import print_log
from mmengine.visualization import LocalVisBackend as MMEngineLocalVisBackend

from mmvisattn.registry import VISBACKENDS


@VISBACKENDS.register_module()
class LocalVisBackend(MMEngineLocalVisBackend):
    """mmengine's ``LocalVisBackend``, which does not end a training when the disk is full: the log says so."""

    def _attempt(self, write: Callable, *args: Any, **kwargs: Any) -> None:
        try:
            write(*args, **kwargs)
        except OSError as error:
            print_log(f'numbers of the log could not be written: {error}', logger='current', level=logging.ERROR)

    def add_scalar(self, *args: Any, **kwargs: Any) -> None:
        self._attempt(super().add_scalar, *args, **kwargs)

    def add_scalars(self, *args: Any, **kwargs: Any) -> None:
        self._attempt(super().add_scalars, *args, **kwargs)
