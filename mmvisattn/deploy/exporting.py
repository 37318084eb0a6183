"""Writing a model to a file of another runtime, and comparing what the file computes with PyTorch."""
import copy
import json
import logging
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from mmvisattn.dependencies import require
from mmvisattn.files import written_whole
from mmvisattn.models import CrossFormer

from .graphs import DeployedModel
from .runtimes import PREFIX, ExportedFile, open_exported

# The format's suffix, and the packages that write and run it.
FORMATS = {'onnx': ('.onnx', ('onnxscript', 'onnxruntime')), 'openvino': ('.xml', ('onnxscript', 'openvino')),
           'torch-export': ('.pt2', ())}
# The newest that onnxruntime and OpenVINO both document as complete, and that torch's exporter offers.
OPSET = 20
OLDEST_OPSET = 18
# Below, maps of stride 64 would be single pixels, for which PyTorch exports other programs.
SMALLEST_SIDE = 65
# Batch, and by how much the sides for which a program of any size is recorded exceed the smallest. No two maps of a network
# have equal sides, and none is even at every stride: PyTorch takes sides that are equal by chance for equal at any size.
EXAMPLE = (2, 42, 74)
# What a file is compared at, if it takes any size; as above.
COMPARED = ((1, 63, 95), (2, 10, 32), (4, 46, 25))
# The largest difference to PyTorch as a share of the largest value. Half precision has 11 bits, and errors add up.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 3e-2}
# The share of labels that may differ: where two classes are equally likely up to such differences.
LABELS_TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2}
Size = tuple[int, int] | None


class ExportError(ValueError):
    """A model that cannot be exported as wanted; the message is one line with the way out."""


@dataclass(frozen=True)
class Comparison:
    """How a file differs from PyTorch.

    Attributes:
        differences: the largest difference of each output as a share of its largest value; of labels, the share of them
            that differ; of detections, the share of the objects that have no partner.
        seconds: median time of an image in PyTorch and in the file.
    """
    differences: dict[str, float]
    seconds: tuple[float, float]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the notes of the exporters on their own progress and on packages that we do not need."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'torch.export', 'onnxscript', 'onnx_ir', 'nncf')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def one_line(error: BaseException) -> str:
    return ' '.join(str(error).split())[:300]


def smallest_side(model: DeployedModel) -> int:
    """The smallest side that a program for any size takes.

    The groups of a CrossFormer have other sizes on maps that are not larger than a group.
    """
    nets = [module for module in model.graph.modules() if isinstance(module, CrossFormer)]
    return max([SMALLEST_SIDE] + [4 * 2**i * block.group_size + 1
                                  for net in nets for i, stage in enumerate(net.stages) for block in stage.blocks])


def shapes_of(smallest: int, *larger: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """(batch, height, width), from by how much the sides exceed the smallest."""
    return [(batch, smallest + down, smallest + right) for batch, down, right in larger]


def exported_program(model: DeployedModel, size: Size) -> ExportedProgram:
    """The graph as ``torch.export`` records it.

    Args:
        model: what to record.
        size: (height, width) of the images; None: any from ``smallest_side``, and any number of them.

    Raises:
        ExportError: if the model does not take the size, or cannot be exported for any size.
    """
    smallest = smallest_side(model)
    batch, height, width = shapes_of(smallest, EXAMPLE)[0] if size is None else (1, *size)
    try:
        example = model.example(1 if model.fixed_batch else batch, height, width)
    except RuntimeError as error:
        raise ExportError(f'--size {height} {width}: there is no memory for such an image; try a smaller size') from error
    shapes: Any = None
    if size is None:
        rows = 1 if model.preprocesses else 2
        dims: dict[int, Any] = {rows: Dim('height', min=smallest), rows + 1: Dim('width', min=smallest)}
        shapes = (dims if model.fixed_batch else {0: Dim('batch', min=1), **dims},)
    try:
        with torch.no_grad(), quiet():
            return torch.export.export(
                model.graph, (example,), dynamic_shapes=shapes, strict=False,
                # Facts on sizes that are always true, but that PyTorch cannot prove, are checked when the program runs.
                prefer_deferred_runtime_asserts_over_guards=size is None)
    except Exception as error:  # of many kinds: what a model does not take, and what torch.export cannot record
        wanted = '--size dynamic' if size is None else f'--size {height} {width}'
        hint = '; give --size HEIGHT WIDTH' if size is None else '; try a larger size'
        raise ExportError(f'{wanted}: torch.export fails with {type(error).__name__}: {one_line(error)}{hint}') from error


def metadata_of(model: DeployedModel, size: Size) -> dict[str, str]:
    """The entries in a file's metadata, see ``docs/deployment.md``; every value is JSON."""
    entries = dict(size=size or 'dynamic', smallest=None if size else smallest_side(model),
                   batch=1 if size or model.fixed_batch else 'dynamic')
    return model.metadata | {name: json.dumps(value) for name, value in entries.items()}


@lru_cache(maxsize=1)
def _converted(program: ExportedProgram, names: tuple[str, ...], opset: int) -> Any:
    """The ``onnx.ModelProto`` of a program, kept for the next format: the conversion takes longer than all else."""
    try:
        with quiet():
            exported = torch.onnx.export(
                program, dynamo=True, opset_version=opset, input_names=['image'], output_names=list(names),
                external_data=False, verbose=False)
    except Exception as error:
        reason = one_line(error.__cause__ or error)  # the exporter wraps it into advice to its developers
        raise ExportError(f'--format onnx --opset {opset}: {reason}; try --format torch-export') from error
    assert exported is not None
    proto = exported.model_proto
    for node in [*proto.graph.node, *proto.graph.input, *proto.graph.output]:
        del node.metadata_props[:]  # where each came from in Python: as long as the graph itself
    # Runtimes infer the shapes between. The recorded ones are wrong after the suppression of boxes, see ``suppressed``.
    del proto.graph.value_info[:]
    return proto


def onnx_model(program: ExportedProgram, names: Sequence[str], metadata: dict[str, str], opset: int = OPSET) -> Any:
    """The ``onnx.ModelProto`` of a program with outputs of these names.

    Raises:
        ExportError: if ONNX lacks an operator.
    """
    proto = copy.deepcopy(_converted(program, tuple(names), opset))
    for name, text in metadata.items():
        proto.metadata_props.add(key=PREFIX + name, value=text)
    return proto


def openvino_model(proto: bytes) -> Any:
    """The ``openvino.Model`` of an ONNX model.

    Raises:
        ExportError: if OpenVINO lacks an operator.
    """
    import openvino
    try:
        return openvino.Core().read_model(proto)
    except RuntimeError as error:
        raise ExportError(f'--format openvino: {one_line(error)}; try --format onnx') from error


def write_openvino(converted: Any, path: Path, metadata: dict[str, str], half: bool = False) -> None:
    import openvino
    for name, text in metadata.items():
        converted.set_rt_info(text, ['mmvisattn', name])
    openvino.save_model(converted, str(path), compress_to_fp16=half)


def write_torch(program: ExportedProgram, path: Path, metadata: dict[str, str]) -> None:
    with quiet():
        torch.export.save(program, str(path), extra_files={'mmvisattn.json': json.dumps(metadata)})


def files_of(path: Path) -> list[Path]:
    """The files of an export: OpenVINO's weights are a file of their own."""
    return [path.with_suffix('.bin'), path] if path.suffix == '.xml' else [path]


@contextmanager
def all_or_none(path: Path) -> Iterator[Path]:
    """A path in a temporary folder; what is written to it comes to ``path`` when the block ends without an error."""
    with TemporaryDirectory(prefix='mmvisattn-export-') as folder:
        unfinished = Path(folder) / path.name
        yield unfinished
        with ExitStack() as stack:  # which gives all files their names when all are written, the last one's first
            for source, target in reversed(list(zip(files_of(unfinished), files_of(path)))):
                stack.enter_context(written_whole(target)).write_bytes(source.read_bytes())


def _as_list(outputs: Tensor | Sequence[Tensor]) -> list[np.ndarray]:
    return [one.numpy() for one in ([outputs] if isinstance(outputs, Tensor) else outputs)]


def difference(expected: np.ndarray, found: np.ndarray) -> float:
    """The largest difference as a share of the largest value; of integers, the share that differs."""
    if expected.shape != found.shape:
        return float('inf')
    if np.issubdtype(expected.dtype, np.integer):
        return float((expected != found).mean())
    return float(np.abs(expected - found).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))


def _of_detections(expected: list[np.ndarray], found: list[np.ndarray]) -> list[float]:
    """Differences of boxes, scores and labels, in whatever order objects of equal score come: each object's partner is the
    nearest of its label, and an object without one within 0.1 pixels counts as a label that differs."""
    (boxes, scores, labels), (other_boxes, other_scores, other_labels) = expected, found
    distances = np.abs(boxes[:, None] - other_boxes).max(-1)
    nearest = np.where(labels[:, None] == other_labels, distances, np.inf).min(1)
    paired = nearest < 0.1
    return [float(nearest[paired].max(initial=0) / max(np.abs(boxes).max(), 1)), difference(scores, other_scores),
            float(1 - paired.mean())]


def differences(expected: list[np.ndarray], found: list[np.ndarray], output: str) -> list[float]:
    """The difference of each output, see ``Comparison``."""
    if output == 'detections':
        return _of_detections(expected, found)
    return [difference(one, other) for one, other in zip(expected, found)]


def median_seconds(*functions: Callable[[], object], rounds: int = 5,
                   clock: Callable[[], float] = time.perf_counter) -> tuple[float, ...]:
    """The median time of each function by a clock, called alternately, after one call each."""
    times: list[list[float]] = [[] for _ in functions]
    for i in range(rounds + 1):
        for own, function in zip(times, functions):
            start = clock()
            function()
            if i:
                own.append(clock() - start)
    return tuple(map(statistics.median, times))


def compare(model: DeployedModel, file: ExportedFile, size: Size, rounds: int = 5) -> Comparison:
    """Run a file and PyTorch on the same images.

    Args:
        model: what was exported, in the precision of PyTorch's side.
        file: what it was exported to.
        size: the size that the file takes; None: any.
        rounds: how often the time is measured, at ``size``, or at 512 x 512 if the file takes any.
    """
    worst = dict.fromkeys(model.output_names, 0.0)
    shapes = [(1, *size)] if size else shapes_of(smallest_side(model), *COMPARED)
    for batch, height, width in shapes:
        image = model.example(1 if model.fixed_batch else batch, height, width)
        with torch.inference_mode():
            expected = _as_list(model.graph(image))
        each = differences(expected, file(image.numpy()), json.loads(model.metadata['output']))
        worst = {name: max(worst[name], value) for name, value in zip(worst, each)}
    image = model.example(1, *(size or (512, 512)))

    def eager() -> None:
        with torch.inference_mode():
            model.graph(image)

    eager_seconds, file_seconds = median_seconds(eager, lambda: file(image.numpy()), rounds=rounds)
    return Comparison(worst, (eager_seconds, file_seconds))


def require_packages(format: str) -> None:
    """Raise an ImportError with the install command if a package of a format is missing."""
    for package in FORMATS[format][1]:
        require(package, f'--format {format}')


def tolerance(model: DeployedModel, name: str, half: bool) -> float:
    kind = torch.float16 if half else torch.float32
    return LABELS_TOLERANCE[kind] if name == 'labels' else TOLERANCE[kind]


def opened(unfinished: Path, path: Path) -> ExportedFile:
    """The file that was just written, which will be at a path."""
    try:
        return open_exported(unfinished)
    except ValueError as error:
        raise ExportError(f'{str(error).replace(str(unfinished), str(path))}; nothing was written: try the default --opset, '
                          'or another --format') from error


def export(model: DeployedModel, path: Path, format: str, size: Size = None, opset: int = OPSET, half: bool = False,
           transform: Callable[[Any], Any] | None = None, program: ExportedProgram | None = None) -> Comparison:
    """Write a model to a file, whole or not at all, after the file has been run and compared with PyTorch.

    Args:
        model: see ``deployed_model``.
        path: the file, with the format's suffix; OpenVINO's weights are written beside it as ``.bin``.
        format: a key of ``FORMATS``.
        size: (height, width), or None for any.
        opset: version of ONNX's operators.
        half: 16-bit weights. In ONNX and torch.export the computation, too, is in 16 bits.
        transform: applied to OpenVINO's model before it is written (int8).
        program: that of ``exported_program`` for the model and the size, if it is there already.

    Raises:
        ExportError: if the model cannot be exported so, or the file does not compute the same; nothing is written then.
        ImportError: if a package of the format is missing; with the command.
    """
    require_packages(format)
    if format == 'torch-export' and 'detections' in model.metadata['output']:
        raise ExportError('--format torch-export: PyTorch has no operator for the suppression of boxes; give --output raw')
    exact = model
    if half and format != 'openvino':
        model = copy.deepcopy(model)
        model.graph.half()
        program = None
    program, metadata = program or exported_program(model, size), metadata_of(model, size)
    with all_or_none(path) as unfinished:
        if format == 'torch-export':
            write_torch(program, unfinished, metadata)
        else:
            proto = onnx_model(program, model.output_names, metadata, opset)
            if format == 'onnx':
                unfinished.write_bytes(proto.SerializeToString())
            else:
                converted = openvino_model(proto.SerializeToString())
                write_openvino(transform(converted) if transform else converted, unfinished, metadata, half)
        file = opened(unfinished, path)
        try:
            comparison = compare(exact, file, size)
        except Exception as error:  # each runtime has errors of its own
            hint = 'give --size HEIGHT WIDTH' if size is None else 'try another --format'
            raise ExportError(f'{path}: the file does not run: {one_line(error)}; nothing was written: {hint}') from error
        wrong = {name: value for name, value in comparison.differences.items() if not value <= tolerance(model, name, half)}
        if wrong and transform is None:
            raise ExportError(f'{path}: the file computes something else than PyTorch: '
                              + ', '.join(f'{name} differs by {value:.1e}' for name, value in wrong.items())
                              + f' (at most {tolerance(model, next(iter(wrong)), half):.0e}); nothing was written'
                              + ('; try without --half' if half else ''))
    return comparison
