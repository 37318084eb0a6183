#!/usr/bin/env python3
"""The table of docs/deployment.md: docs/measure_deployment.py FOLDER writes the files, and with --time measures them.

With OMP_NUM_THREADS=1, processor time is measured, which other work on the machine hardly changes.
"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import argparse
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS as REGISTRY

import mmvisattn
from mmvisattn.deploy import DeployedModel, deployed_model, open_exported
from mmvisattn.deploy.exporting import (
    compare,
    exported_program,
    median_seconds,
    metadata_of,
    onnx_model,
    openvino_model,
    write_openvino,
)
from mmvisattn.deploy.quantization import quantized

MODELS = {
    'topformer-tiny_simple-head_8xb2-160k_ade20k-512x512': (512, 512),
    'topformer-small_simple-head_8xb2-160k_ade20k-512x512': (512, 512),
    'topformer-base_simple-head_8xb2-160k_ade20k-512x512': (512, 512),
    'restoration': (256, 256),
    'smt-tiny': (512, 512),
    'crossformer-tiny': (512, 512),
}
BACKBONES = {'smt-tiny': dict(type='mmvisattn.SMT', arch='tiny'),
             'crossformer-tiny': dict(type='mmvisattn.CrossFormer', arch='tiny')}
FILES = {'onnxruntime': '.onnx', 'OpenVINO': '.xml', 'OpenVINO int8': '_int8.xml'}


def built(name: str) -> DeployedModel:
    torch.manual_seed(0)
    return deployed_model(REGISTRY.build(BACKBONES[name]) if name in BACKBONES else mmvisattn.load(name, device='cpu'))


def write(folder: Path, name: str, size: tuple[int, int]) -> None:
    model = built(name)
    metadata = metadata_of(model, size)
    proto = onnx_model(exported_program(model, size), model.output_names, metadata).SerializeToString()
    onnxruntime, openvino, int8 = (folder / f'{name}{suffix}' for suffix in FILES.values())
    onnxruntime.write_bytes(proto)
    write_openvino(openvino_model(proto), openvino, metadata)
    noise = [model.example(1, *size).numpy()]  # int8's speed does not depend on the images
    write_openvino(quantized(openvino_model(proto), noise, None, model.task)[0], int8, metadata)


def measure(folder: Path, name: str, size: tuple[int, int], rounds: int, with_compile: bool) -> None:
    model = built(name)
    files = [open_exported(folder / f'{name}{suffix}') for suffix in FILES.values()]
    image = model.example(1, *size)
    compiled = [torch.compile(model.graph)] if with_compile else []

    def runner(function):
        def run() -> None:
            with torch.inference_mode():
                function(image)
        return run

    runs = [*map(runner, [model.graph, *compiled]), *(lambda file=file: file(image.numpy()) for file in files)]
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    eager, *others = median_seconds(*runs, rounds=rounds, clock=clock)
    differences = [max(compare(model, file, size, rounds=1).differences.values()) for file in files[:2]]
    ratios = ' | '.join(f'{seconds / eager:.2f}' for seconds in others)
    print(f'| {name} | {size[0]} x {size[1]} | {np.max(differences):.0e} | {1000 * eager:.0f} | {ratios} |', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--time', action='store_true')
    parser.add_argument('--models', nargs='+', choices=MODELS, default=list(MODELS))
    parser.add_argument('--compile', action='store_true', help='measure torch.compile, too')
    parser.add_argument('--rounds', type=int, default=9)
    args = parser.parse_args()
    MMLogger.get_current_instance().setLevel('ERROR')
    if args.time:
        columns = [*(['compile'] if args.compile else []), *FILES]
        print(f'| model | size | difference | eager, ms ({torch.get_num_threads()} threads) | {" | ".join(columns)} |')
    for name in args.models:
        if args.time:
            measure(args.folder, name, MODELS[name], args.rounds, args.compile)
        else:
            write(args.folder, name, MODELS[name])


if __name__ == '__main__':
    main()
