"""Where a training shows its numbers, and how it ends when they are none."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from mmengine.config import Config

from mmvisattn.training.watching import NonFinite

from .usage import UsageError

BACKENDS = dict(tensorboard='TensorboardVisBackend', wandb='WandbVisBackend')


def show_in(cfg: Config, names: Sequence[str]) -> None:
    """Add mmengine's backends to the visualizer of a config.

    Raises:
        UsageError: if a package is missing, or the config has no visualizer.
    """
    for name in names:
        if find_spec(name) is None:
            raise UsageError(f'--vis {name} needs the package {name}: pip install {name}')
        if not isinstance(cfg.get('visualizer'), dict):
            raise UsageError(f"--vis {name} needs visualizer=dict(type='Visualizer', …) in the config")
        backends = [dict(backend) for backend in cfg.visualizer.get('vis_backends') or []]
        if BACKENDS[name] not in [backend.get('type') for backend in backends]:
            cfg.visualizer.vis_backends = [*backends, dict(type=BACKENDS[name])]


@contextmanager
def non_finite_named() -> Iterator[None]:
    """While active, a loss that is not finite is reported in one line.

    Raises:
        UsageError: naming the layer and the saved batch.
    """
    try:
        yield
    except NonFinite as error:
        raise UsageError(str(error)) from error
