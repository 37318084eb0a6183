#!/usr/bin/env python3
"""Make the weights that come with the package: docs/make_pretrained.py CHECKPOINT NAME

Writes ``mmvisattn/pretrained/NAME.safetensors``. Kernels and matrices are kept in half precision. Vectors (biases, norms and
their running statistics) stay as they are: they are few, and running variances can be too small for half precision.
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from mmvisattn.files import written_whole
from mmvisattn.weights import find_model, read_checkpoint

PRETRAINED = Path(__file__).parents[1] / 'mmvisattn' / 'pretrained'


def main() -> None:
    checkpoint, name = sys.argv[1:]
    entry = find_model(name)
    if entry is None or entry.name != name:
        sys.exit(f'error: no metafile has a model {name}')
    state = {key: (tensor.half() if tensor.ndim > 1 else tensor).contiguous()
             for key, tensor in read_checkpoint(checkpoint).items()}
    largest = max(float(tensor.abs().max()) for tensor in state.values() if tensor.dtype == torch.float16)
    if largest > torch.finfo(torch.float16).max / 2:
        sys.exit(f'error: {checkpoint} holds values up to {largest}, which half precision cannot')
    path = PRETRAINED / f'{name}.safetensors'
    with written_whole(path) as unfinished:
        save_file(state, unfinished)
    print(f'{path}: {len(state)} tensors, {path.stat().st_size / 2**20:.2f} MiB')


if __name__ == '__main__':
    main()
