"""Where a training shows its numbers, and how it ends when they are none."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from mmengine.config import Config

from mmvisattn.training.checkpoint_hook import NotSaved
from mmvisattn.training.watching import NonFinite

from .usage import UsageError

KILLED_WORKER = 'DataLoader worker'  # how torch's error begins
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
def ends_named() -> Iterator[None]:
    """While active, what ends a training is reported in one line, with the way out.

    Raises:
        UsageError: naming the layer and the saved batch of a loss that is not finite, the checkpoint that could not be
            saved, or the worker that was killed.
    """
    try:
        yield
    except (NonFinite, NotSaved) as error:
        raise UsageError(str(error)) from error
    except RuntimeError as error:
        if not str(error).startswith(KILLED_WORKER):
            raise
        first_line = str(error).partition('\n')[0].rstrip('. ')
        raise UsageError(f'{first_line}; often the memory was full: try fewer workers (--cfg-options '
                         'train_dataloader.num_workers=1). --resume goes on from the last checkpoint') from error
