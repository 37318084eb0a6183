"""Models by name."""
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmvisattn.config import model_of, without_sync_bn
from mmvisattn.dependencies import lacking, missing_message
from mmvisattn.restoration.image_restorer import ImageRestorer
from mmvisattn.weights import LoadReport, ModelEntry, find_model, load_official, load_whole, official_weights, similar_models
from mmvisattn.without_torchvision import import_mmpretrain

from .predictor import Classifier, Detector, PipelinePredictor, Predictor, Restorer, Segmentor

EXPORTED = ('.onnx', '.xml', '.pt2')
PREDICTORS: dict[str, type[PipelinePredictor]] = {'mmpretrain': Classifier, 'mmseg': Segmentor, 'mmdet': Detector}


def _config_and_entry(model: str | Path | Config) -> tuple[Config | None, ModelEntry | None]:
    """The config that a name, a path or a config stands for, and what the table says of it."""
    if isinstance(model, Config):
        return model, find_model(Path(model.filename).stem) if model.filename else None
    if not isinstance(model, (str, Path)) or not str(model):
        raise ValueError(f'load takes the name of a model, the path of a config or a config, not {model!r}')
    if Path(model).suffix == '.py':
        if not Path(model).is_file():
            raise FileNotFoundError(f'there is no config {model}')
        return Config.fromfile(model), find_model(Path(model).stem)
    entry = find_model(str(model))
    if entry is None:
        raise ValueError(f"there is no model '{model}', and no config of that name; {similar_models(str(model))}")
    is_backbone = entry.backbone and model != entry.name  # the name of an architecture
    return Config.fromfile(entry.config) if entry.config and not is_backbone else None, entry


def _weights_path(entry: ModelEntry | None, weights: str | Path | None, name: object) -> str | Path | None:
    if weights is None:
        return entry.shipped if entry else None
    if weights != 'official':
        return weights
    if entry is None:
        raise ValueError(f"weights='official': no weights of {name} are published; give the path of a checkpoint")
    return official_weights(entry)


def _predictor(config: Config, model: nn.Module) -> Predictor:
    """A predictor for what the model is: mmpretrain's classifiers, mmseg's segmentors, mmdet's detectors, and restorers."""
    if isinstance(model, ImageRestorer):
        return Restorer(model, config)
    scope = str(config.get('default_scope'))
    if scope not in PREDICTORS or 'test_dataloader' not in config:
        raise ValueError(f'predictions need a config of a classifier, segmentor, detector or restorer with a '
                         f'test_dataloader, and {config.filename} has default_scope={scope!r}')
    return PREDICTORS[scope](cast(Any, model), config)


def _fill(model: nn.Module, name: object, path: str | Path | None,
          fill: Callable[[nn.Module, str | Path], LoadReport]) -> None:
    if path is None:
        print_log(f"{name}: no weights come with the package, so these are random; weights='official' fetches the authors'",
                  level=logging.WARNING)
    else:
        fill(model, path)


def checked_device(device: str | torch.device) -> str | torch.device:
    """The device, which PyTorch knows and finds.

    Raises:
        ValueError: if it does not.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch's words for a device that it does not know or find
        raise ValueError(f'device={str(device)!r}: {str(error).splitlines()[0]}') from error
    return device


def load(model: str | Path | Config, weights: str | Path | None = None, device: str | torch.device | None = None) -> Any:
    """A model that is ready to use.

    Args:
        model: a name (``mmvisattn.list_models()``), a task ('segmentation', 'detection', 'restoration': a small model whose
            weights come with the package), the path of a config, a config, or the path of a file that ``tools/export.py``
            wrote (.onnx, .xml, .pt2), which is run on the CPU.
        weights: a checkpoint's path or URL; 'official': those that the paper's authors publish; None: those that come with
            the package, or random ones where there are none.
        device: where the model runs; None: on a GPU if PyTorch finds one, else on the CPU.

    Returns:
        A ``Predictor``, with the model itself as ``.model``; for the name of an architecture ('smt-small') the backbone.

    Raises:
        ValueError: if there is no such model or device, or the weights do not fit the model.
        FileNotFoundError: if there is no such file, or it cannot be downloaded.
        ImportError: if the model needs a package or mmcv's operators, which are not installed; with the command.
    """
    if isinstance(model, (str, Path)) and Path(model).suffix in EXPORTED:
        if weights is not None:
            raise ValueError(f'weights={str(weights)!r}: {model} holds its weights; export the model anew with others')
        from mmvisattn.deploy import load_exported  # which imports this package
        return load_exported(model)
    config, entry = _config_and_entry(model)
    name = (model.filename or 'the config') if isinstance(model, Config) else model
    path = _weights_path(entry, weights, name)
    device = checked_device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    if config is None:
        assert entry and entry.backbone
        backbone = MODELS.build(dict(entry.backbone))
        _fill(backbone, name, path, load_official)
        return backbone.eval().to(device)
    scope = config.get('default_scope')
    if scope in PREDICTORS and (missing := lacking(scope)):
        raise ImportError(missing_message(missing, str(name)))
    if scope == 'mmpretrain':
        import_mmpretrain()
    with DefaultScope.overwrite_default_scope(scope):
        built = MODELS.build(without_sync_bn(model_of(config)))
        _fill(built, name, path, load_whole)
        return _predictor(config, built.to(device))
