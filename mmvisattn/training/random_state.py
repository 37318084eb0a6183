"""Random numbers that go on after a resume where they were."""
import random
from typing import Any, cast

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvisattn.registry import HOOKS

KEY = 'random_states'


def random_state() -> dict[str, Any]:
    """The states of the global generators of Python, numpy, torch and CUDA, as numbers and tensors."""
    kind, words, position, has_gauss, gauss = cast(tuple, np.random.get_state())
    state = dict(python=random.getstate(), torch=torch.get_rng_state(),
                 numpy=(kind, torch.from_numpy(words.astype(np.int64)), position, has_gauss, gauss))
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Set what ``random_state`` returned, here or in another process."""
    version, words, gauss = state['python']
    random.setstate((version, tuple(words), gauss))
    kind, numbers, *rest = state['numpy']
    np.random.set_state((kind, numbers.cpu().numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Saves and restores the random numbers of every rank, and keeps validations and data loaders from using them up.

    What the training draws, it draws within iterations: the states at the end of one are those at the beginning of the
    next. The states of all ranks are saved by ``mmvisattn.CheckpointHook``; mmengine's saves those of the first one.
    """

    priority = 'HIGHEST'

    def __init__(self):
        self.state = None
        self.of_all_ranks = []

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if self.state is not None:
            set_random_state(self.state)

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        self.state = random_state()

    def before_save_of_all_ranks(self, runner: Runner) -> None:
        """Called on every rank by ``mmvisattn.CheckpointHook``."""
        self.of_all_ranks = all_gather_object(self.state)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint[KEY] = self.of_all_ranks or [self.state]
        self.of_all_ranks = []

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        states = checkpoint.get(KEY) or []
        if get_rank() == 0 and len(states) != get_world_size():
            runner.logger.warning(f'the checkpoint is of {len(states)} processes, and this training has {get_world_size()}: '
                                  'it goes on with other batches')
        if get_rank() < len(states):
            self.state = states[get_rank()]
        else:
            runner.logger.warning(f'the checkpoint holds the random numbers of {len(states)} processes, but not of rank '
                                  f'{get_rank()}: it goes on with others')
