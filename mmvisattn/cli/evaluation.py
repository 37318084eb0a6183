"""What the tools that analyse a trained model share: its parts, and what their results are of."""
import argparse
import copy
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import MODELS, init_default_scope

from mmvisattn.config import dicts_in, model_of
from mmvisattn.datasets.files import BadFile
from mmvisattn.datasets.samples import files_of
from mmvisattn.training.checked_data import built_dataset

from .arguments import checkpoint_path, load_weights
from .checks import check_data, check_keys, check_model
from .misuse import config_errors
from .usage import UsageError

# The keys of a config whose paths may be relative to the working folder.
PATHS = ('data_root', 'ann_file')


def model_and_data(args: argparse.Namespace, cfg: Config, *keys: str) -> tuple[Any, Any]:
    """The model of a config with its weights, in eval mode where it runs, and the test data.

    Args:
        args: the command line: ``config``, ``checkpoint`` and ``weights``.
        cfg: the config.
        keys: what it must have besides.

    Raises:
        UsageError: if something is missing or does not fit.
    """
    check_keys(cfg, args.config, 'model', 'test_dataloader', *keys)
    checkpoint = checkpoint_path(args.checkpoint)
    check_data(cfg, 'test_dataloader')
    check_model(cfg)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    with config_errors(cfg):
        model = MODELS.build(model_of(cfg))
        try:
            dataset = built_dataset(cfg.test_dataloader.dataset)
        except BadFile as error:
            raise UsageError(f'test_dataloader: {error}') from error
    load_weights(model, checkpoint, args.weights)
    return model.to(get_device()).eval(), dataset


def _absolute(path: str) -> str:
    """A path that is the same from every working folder; what is no path, as a URL, stays."""
    return str(Path(path).resolve()) if Path(path).exists() else path


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _settings(cfg: Config) -> str:
    """A digest of what is computed."""
    parts = copy.deepcopy([model_of(cfg), cfg.test_dataloader.dataset, cfg.get('test_evaluator')])
    for part in dicts_in(parts):
        part.update({key: _absolute(part[key]) for key in PATHS if isinstance(part.get(key), str)})
    return _digest(parts)


def _state(paths: Iterable[str]) -> str:
    """A digest of the sizes of files and of the times of their last change."""
    states = {path: os.stat(path) for path in sorted(set(paths)) if os.path.isfile(path)}
    return _digest([(path, state.st_size, state.st_mtime_ns) for path, state in states.items()])


def subject_of(args: argparse.Namespace, cfg: Config, dataset: Any, **others: object) -> dict:
    """What an evaluation is of, to tell whether results that exist are of the same.

    Args:
        args: the command line, as for ``model_and_data``.
        cfg: the config; what it computes counts, and its name, but not its folder.
        dataset: of the test data; its files count with their sizes and times.
        others: what else decides.
    """
    root = cfg.test_dataloader.dataset.get('data_root')
    listed = [path for index in range(len(dataset)) for path in files_of(dataset.get_data_info(index))]
    files = [args.checkpoint, str(getattr(dataset, 'ann_file', None)), *listed]
    return dict(config=args.config.name, checkpoint=_absolute(args.checkpoint), weights=args.weights,
                data=root and _absolute(root), settings=_settings(cfg), files=_state(map(_absolute, files)), **others)
