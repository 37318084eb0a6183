"""Reports of a training: its speed, and where its first value that is not finite came from."""
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmvisattn.files import written_whole
from mmvisattn.registry import HOOKS

from .random_state import RandomStateHook, set_random_state


def images_in(batch: Any) -> int:
    """The images of a batch of an mm data loader."""
    inputs = batch.get('inputs') if isinstance(batch, dict) else batch
    return len(inputs) if inputs is not None else 0


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Logs ``images_per_second`` of all processes, over the last iterations. mmengine logs the wait for data and the ETA.

    Args:
        window: number of iterations.
    """

    priority = 55  # before the hook that logs

    def __init__(self, window: int = 50):
        self.ends: deque[tuple[float, int]] = deque(maxlen=window + 1)

    def before_train_epoch(self, runner: Runner) -> None:
        self.ends.clear()

    def before_val_epoch(self, runner: Runner) -> None:
        self.ends.clear()  # validations do not count

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None) -> None:
        self.ends.append((time.perf_counter(), images_in(data_batch) * get_world_size()))
        seconds = self.ends[-1][0] - self.ends[0][0]
        if seconds:
            images = sum(number for _, number in list(self.ends)[1:])
            runner.message_hub.update_scalar('train/images_per_second', images / seconds)


class NonFinite(RuntimeError):
    """The loss is no finite number; the message names the first layer, and the file with the batch."""


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors of floating-point numbers in a module's arguments or outputs."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, (list, tuple, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(each)


def is_finite(value: Any) -> bool:
    """Whether all tensors in a value hold finite numbers alone."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors_in(value))


def plain(value: Any) -> Any:
    """A batch as tensors, numbers and texts, which can be read again without running code."""
    if isinstance(value, BaseDataElement):
        return {name: plain(each) for name, each in value.all_items()}
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        return torch.from_numpy(value)
    value = getattr(value, 'tensor', value)
    return value if isinstance(value, (Tensor, int, float, str, type(None))) else repr(value)


def _names(batch: Any) -> list[str]:
    samples = batch.get('data_samples') if isinstance(batch, dict) else None
    return [str(sample.metainfo.get('img_path')) for sample in samples or () if isinstance(sample, BaseDataElement)]


@contextmanager
def first_non_finite(model: nn.Module) -> Iterator[list[str]]:
    """While active, note in words the innermost module that first returns a number that is not finite."""
    found: list[str] = []

    def look(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        if not found and not is_finite(output):
            bad = next(tensor for tensor in tensors_in(output) if not is_finite(tensor))
            wrong = [key for key, parameter in module.named_parameters() if not is_finite(parameter)]
            causes = [f'its {wrong[0]} is not finite, so an earlier update spoiled it'] if wrong else []
            causes += [] if is_finite(inputs) else ['so is its input']
            found.append(f'{name or "the model"} ({type(module).__name__}), whose output has '
                         f'{int((~torch.isfinite(bad)).sum())} of {bad.numel()} values that are not finite '
                         f'({"; ".join(causes) or "its input and its weights are finite"})')

    handles = [module.register_forward_hook(lambda module, inputs, output, name=name: look(name, module, inputs, output))
               for name, module in model.named_modules()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Stops a training before the update that a loss of NaN or infinity would make, and reports where it comes from.

    Looking at the loss is all it costs. Only when it is not finite, the batch is computed again, with the same random
    numbers, to find the first layer; the batch is saved as ``nonfinite_iter_N_rank_R.pth`` in the work folder.

    Args:
        patience: so many losses in a row must be non-finite. In float16, whose scaler leaves out such updates, they need not
            be a fault.
    """

    def __init__(self, patience: int = 1):
        self.patience = patience
        self.in_a_row = 0
        self.batch: Any = None

    def before_train(self, runner: Runner) -> None:
        """Look at each loss on its way to the optimizer."""
        wrapper: Any = runner.optim_wrapper
        for each in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
            self._guard(runner, each)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.batch = data_batch

    def _guard(self, runner: Runner, wrapper: OptimWrapper) -> None:
        update = wrapper.update_params

        def update_params(loss: Tensor, *args: Any, **kwargs: Any) -> None:
            if torch.isfinite(loss).all():
                self.in_a_row = 0
            else:
                self.in_a_row += 1
                if self.in_a_row >= self.patience:
                    self._stop(runner, wrapper, loss)
            update(loss, *args, **kwargs)

        wrapper.update_params = update_params  # type: ignore[method-assign]

    def _stop(self, runner: Runner, wrapper: OptimWrapper, loss: Tensor) -> None:
        where = self._first_layer(runner, wrapper) or ['no layer, when the batch was computed again, but in the loss alone']
        path = Path(runner.work_dir) / f'nonfinite_iter_{runner.iter + 1}_rank_{get_rank()}.pth'
        try:
            with written_whole(path) as unfinished:
                torch.save(dict(batch=plain(self.batch), iteration=runner.iter + 1), unfinished)
            saved = f'is saved in {path}'
        except (OSError, RuntimeError) as error:  # torch raises the latter when the disk is full
            saved = f'could not be saved in {path}: {str(error).partition(chr(10))[0]}'
        names = f' ({", ".join(_names(self.batch)[:2])} …)' if _names(self.batch) else ''
        raise NonFinite(f'the loss of iteration {runner.iter + 1} is {loss.detach().float().mean().item()}. The first value '
                        f'that is not finite is in {where[0]}. The batch{names} {saved}')

    def _first_layer(self, runner: Runner, wrapper: OptimWrapper) -> list[str]:
        states = next((hook for hook in runner.hooks if isinstance(hook, RandomStateHook)), None)
        if states is not None and states.state is not None:
            set_random_state(states.state)
        model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        with first_non_finite(model) as found, torch.no_grad(), wrapper.optim_context(model):
            data = model.data_preprocessor(self.batch, True)
            model(**data, mode='loss') if isinstance(data, dict) else model(*data, mode='loss')
        return found
