"""The recordings of what the papers' authors released, and the fill of weights that they were made with."""
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parents[1] / 'data' / 'golden'


def read(name: str) -> dict:
    return json.loads((FOLDER / f'{name}.json').read_text())


def drawn(seed: int, shape: list[int]) -> np.ndarray:
    """The random numbers of the recordings."""
    return np.random.RandomState(seed).standard_normal(shape)


def fill(name: str, shape: list[int], draw: Callable[[int, list[int]], np.ndarray] = drawn) -> Tensor:
    """The golden value of a tensor, a function of its official name and shape."""
    leaf = name.rsplit('.', maxsplit=1)[-1]
    if leaf == 'num_batches_tracked':
        return torch.tensor(0)
    x = draw(zlib.crc32(name.encode()), shape)
    if leaf == 'running_var':
        x = 1 + 0.5 * np.tanh(x)
    elif leaf in ('running_mean', 'bias'):
        x = 0.1 * x
    elif leaf == 'weight' and len(shape) > 1:
        x = x / np.sqrt(np.prod(shape[1:]))
    else:
        x = 1 + 0.1 * x
    return torch.from_numpy(np.asarray(x, dtype=np.float32))


def checkpoint(recording: dict) -> dict[str, Tensor]:
    """What the authors would publish for a recording."""
    return {name: fill(name, shape) for name, shape in recording['tensors']}


def case_input(case: dict) -> Tensor:
    x = np.random.RandomState(case['input_seed']).standard_normal(case['input_shape'])
    return torch.from_numpy(x.astype(np.float32))


def assert_agree(outputs: list[Tensor], case: dict, tolerance: float) -> None:
    """Fail unless shapes, statistics and recorded values agree within ``tolerance`` of each output's deviation."""
    assert len(outputs) == len(case['outputs'])
    for output, recorded in zip(outputs, case['outputs']):
        assert list(output.shape) == recorded['shape']
        flat = output.double().flatten()
        limit = tolerance * recorded['std']
        assert abs(flat.mean().item() - recorded['mean']) <= limit
        assert abs(flat.std(correction=0).item() - recorded['std']) <= limit
        assert abs(flat.abs().max().item() - recorded['absmax']) <= limit
        values = torch.tensor(recorded['value'], dtype=torch.float64)
        assert (flat[recorded['index']] - values).abs().max().item() <= limit
