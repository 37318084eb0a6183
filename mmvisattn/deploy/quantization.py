"""Weights and activations of 8 bits (int8), with the accuracy watched: static quantization by NNCF, for OpenVINO.

Quantization is calibrated on images, and checked on a data set with the truth: where the loss of accuracy is larger than
allowed, NNCF's accuracy control (https://github.com/openvinotoolkit/nncf) keeps those layers in float that cost most.
"""
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS, DefaultScope

from mmvisattn.config import dicts_in
from mmvisattn.inference.predictor import Predictor
from mmvisattn.restoration.pictures import image_files

from .exporting import quiet, write_openvino
from .predictors import ExportedNetwork, load_exported

# The metric of each task, how much of it may be lost, and its unit (mIoU in points, PSNR in dB).
LIMITS = {'segmentation': ('mIoU', 1.0, 'points'), 'restoration': ('PSNR', 0.1, 'dB')}
MULTIPLICATIONS = ('Convolution', 'GroupConvolution', 'MatMul')
MOVING = ('Concat', 'Reshape', 'Split', 'Squeeze', 'Transpose', 'Unsqueeze', 'VariadicSplit')
MAX_IMAGES = 100  # for the calibration
MAX_RANKED = 20  # samples that choose the layers which are tried in float; all samples decide whether they stay there


@dataclass
class Int8Report:
    """What quantization did.

    Attributes:
        metric: name of the metric; None if no data set was given.
        before, after: its value in float and in int8.
        unit: of a difference.
        quantized: how many convolutions and matrix products are in int8.
        kept: names of those that stay in float.
    """
    metric: str | None
    before: float
    after: float
    unit: str
    quantized: int
    kept: list[str]

    def __str__(self) -> str:
        lines = [f'  int8: {self.quantized} of {self.quantized + len(self.kept)} convolutions and matrix products; '
                 f'in float: {", ".join(self.kept) or "none"}']
        if self.metric:
            lines.append(f'  {self.metric} {self.before:.2f} before, {self.after:.2f} after: '
                         f'{self.after - self.before:+.2f} {self.unit}')
        return '\n'.join(lines)


def network_of(predictor: Predictor) -> ExportedNetwork:
    """The place of the file in a predictor that ``load_exported`` made."""
    return next(module for module in predictor.model.modules() if isinstance(module, ExportedNetwork))


@contextmanager
def _in_place(network: ExportedNetwork, function: Any) -> Iterator[None]:
    """Let another function compute the outputs of a file."""
    file = network.file
    network.compute = function
    try:
        yield
    finally:
        network.compute = file


def calibration_inputs(predictor: Predictor, folder: Path) -> list[np.ndarray]:
    """What a file is given for the images of a folder, after the pipeline of its config.

    Raises:
        FileNotFoundError: if there are no images.
    """
    network = network_of(predictor)
    inputs: list[np.ndarray] = []

    def record(image: np.ndarray) -> list[np.ndarray]:
        inputs.append(image)
        return network.file(image)

    with _in_place(network, record):
        predictor.predict(image_files(folder)[:MAX_IMAGES])
    return inputs


class Accuracy:
    """The accuracy of an exported model on the data set of its config's test.

    Args:
        predictor: made by ``load_exported``.
        config: the whole config.
        data_root: of the data set.
        metric: its name in the evaluator's results.
    """

    def __init__(self, predictor: Predictor, config: Config, data_root: str, metric: str):
        self.predictor, self.metric = predictor, metric
        self.scope = config.get('default_scope', 'mmengine')
        settings = config.test_dataloader.dataset
        for part in dicts_in(settings):
            if 'data_root' in part:
                part['data_root'] = data_root
        self.evaluator_settings = config.test_evaluator
        with DefaultScope.overwrite_default_scope(self.scope):
            self.dataset = DATASETS.build(settings)

    def __len__(self) -> int:
        return len(self.dataset)

    def of(self, function: Any, indices: Sequence[int]) -> float:
        """The metric over some samples; the function computes the outputs for an image.

        Of several test sets, it is the mean of their metrics.
        """
        with DefaultScope.overwrite_default_scope(self.scope), _in_place(network_of(self.predictor), function):
            evaluator = Evaluator(self.evaluator_settings)
            evaluator.dataset_meta = self.dataset.metainfo
            for index in indices:
                batch = pseudo_collate([self.dataset[index]])
                evaluator.process(self.predictor.model.test_step(batch), batch)
            results = evaluator.evaluate(len(indices))
        values = [value for name, value in results.items() if name.split('/')[-1] == self.metric]
        if not values:
            raise ValueError(
                f'--accuracy-data: the test_evaluator of the config gives {", ".join(results)}, and no {self.metric}')
        return float(np.mean(values))


def _outputs(compiled: Any) -> Any:
    """A compiled model of OpenVINO as a function."""
    return lambda image: [compiled(image)[i] for i in range(len(compiled.outputs))]


def _is_quantized(output: Any) -> bool:
    """Whether values of an OpenVINO model are in int8, also after operators that only move them."""
    node = output.get_node()
    if node.get_type_name() in MOVING:
        sources = node.input_values() if node.get_type_name() == 'Concat' else node.input_values()[:1]
        return all(map(_is_quantized, sources))
    return node.get_type_name() == 'FakeQuantize'


def layers(model: Any) -> tuple[list[str], list[str]]:
    """Names of the convolutions and matrix products of an OpenVINO model: those in int8, and those in float."""
    inside: list[str] = []
    outside: list[str] = []
    for node in model.get_ordered_ops():
        if node.get_type_name() in MULTIPLICATIONS:
            (inside if _is_quantized(node.input_value(0)) else outside).append(node.get_friendly_name())
    return inside, outside


def kept_from_the_start(model: Any, task: str) -> Any:
    """What NNCF must leave in float, whatever it costs to find more.

    A restorer's output is its input and a small correction, so that it feels errors which a label hides: those of the first
    and the last convolution, and of all elementwise operators, which gain nothing in speed. (Restormer-small, noise of sigma
    25: 30.26 dB in float, 27.76 if all is quantized, 29.75 without elementwise operators, 30.20 without both.)
    """
    import nncf
    if task != 'restoration':
        return nncf.IgnoredScope()
    nodes = model.get_ordered_ops()
    others = {node.get_type_name() for node in nodes} - {*MULTIPLICATIONS, 'Parameter', 'Constant', 'Result'}
    convolutions = [node.get_friendly_name() for node in nodes if 'Convolution' in node.get_type_name()]
    return nncf.IgnoredScope(types=sorted(others), names=[convolutions[0], convolutions[-1]], validate=False)


def quantized(model: Any, inputs: Sequence[np.ndarray], accuracy: Accuracy | None, task: str,
              max_loss: float | None = None) -> tuple[Any, Int8Report]:
    """An OpenVINO model in int8.

    Args:
        model: in float.
        inputs: what it is calibrated on.
        accuracy: measures the loss; None: nothing is measured, and no layer is kept in float for it.
        task: chooses the metric.
        max_loss: how much of it may be lost; None: the task's limit.
    """
    import nncf
    import openvino
    calibration = nncf.Dataset(inputs)
    settings: dict[str, Any] = dict(preset=nncf.QuantizationPreset.MIXED, subset_size=len(inputs),
                                    ignored_scope=kept_from_the_start(model, task))
    # NNCF 3.4 takes the 3 of relu6(x + 3) for the bias of the convolution before it, and fails.
    advanced = nncf.AdvancedQuantizationParameters(disable_bias_correction=True)
    if accuracy is None:
        with quiet():  # NNCF logs every node that it leaves in float
            result = nncf.quantize(model, calibration, advanced_parameters=advanced, **settings)
        inside, outside = layers(result)
        return result, Int8Report(None, 0, 0, '', len(inside), outside)
    metric, limit, unit = LIMITS[task]
    limit = limit if max_loss is None else max_loss
    everything = range(len(accuracy))
    compiled = openvino.Core().compile_model(model, 'CPU')
    before = accuracy.of(_outputs(compiled), everything)

    def measured(candidate: Any, indices: Any) -> tuple[float, None]:
        return accuracy.of(_outputs(candidate), list(indices)), None

    with quiet():
        result = nncf.quantize(model, calibration, advanced_parameters=advanced, **settings)
    after = accuracy.of(_outputs(openvino.Core().compile_model(result, 'CPU')), everything)
    if before - after > limit:
        print(f'  int8 loses {before - after:.2f} {unit} of {metric}, more than {limit}: keeping layers in float …',
              flush=True)
        result = nncf.quantize_with_accuracy_control(
            model, calibration, nncf.Dataset(list(everything)), measured, max_drop=limit,
            drop_type=nncf.DropType.ABSOLUTE, advanced_quantization_parameters=advanced,
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(ranking_subset_size=MAX_RANKED),
            **settings)
        after = accuracy.of(_outputs(openvino.Core().compile_model(result, 'CPU')), everything)
    inside, outside = layers(result)
    return result, Int8Report(metric, before, after, unit, len(inside), outside)


class Quantizer:
    """Makes the OpenVINO model of an export int8, see ``quantized``.

    Args:
        metadata: of the file.
        folder: images for the calibration.
        config: the whole config; needed for ``data_root``.
        data_root: of the config's test data; None: the accuracy is not measured.
        max_loss: how much of the metric may be lost; None: the task's limit.

    Attributes:
        report: what was done, after the call.

    Raises:
        FileNotFoundError: if there are no images in the folder.
        ValueError: if the model's task has no limit for its accuracy.
    """

    def __init__(self, metadata: dict[str, str], folder: Path, config: Config, data_root: str | None = None,
                 max_loss: float | None = None):
        self.task = json.loads(metadata['task'])
        if self.task not in LIMITS:
            raise ValueError(f'--int8: a model for {self.task} cannot be quantized; only {" or ".join(LIMITS)}')
        image_files(folder)
        self.metadata, self.folder, self.config, self.data_root = metadata, folder, config, data_root
        self.max_loss = max_loss
        self.report: Int8Report | None = None

    def __call__(self, model: Any) -> Any:
        with TemporaryDirectory(prefix='mmvisattn-export-') as folder:
            path = Path(folder) / 'float.xml'
            write_openvino(model, path, self.metadata)
            predictor = load_exported(path)
            metric = LIMITS[self.task][0]
            accuracy = Accuracy(predictor, self.config, self.data_root, metric) if self.data_root else None
            try:
                inputs = calibration_inputs(predictor, self.folder)
                result, self.report = quantized(model, inputs, accuracy, self.task, self.max_loss)
            except ValueError as error:  # of an image, by the name of the temporary file
                raise ValueError(str(error).replace(str(path), '--int8: the file')) from error
        return result
