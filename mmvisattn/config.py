"""Walking through configs, and changing what a machine needs changed."""
import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mmengine.fileio import list_from_file
from mmengine.registry import DATASETS

Node = TypeVar('Node', bound=dict)


def dicts_in(node: object) -> Iterator[dict]:
    """Every dict in a config, the outer ones first."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from dicts_in(child)


def metainfo_of(dataset: dict) -> dict:
    """The classes, palette … of a data set in a config: of its type, in the current scope, or chosen in the config.

    As in mmengine, the config may name a file that lists the classes.
    """
    kind = dataset.get('type')
    with DATASETS.switch_scope_and_registry(None) as registry:
        metainfo = getattr(registry.get(kind) if isinstance(kind, str) else kind, 'METAINFO', {})
    chosen = dataset.get('metainfo') or {}
    lists = {key: list_from_file(value) for key, value in chosen.items() if isinstance(value, str) and Path(value).is_file()}
    return {**metainfo, **chosen, **lists}


def model_of(cfg: Mapping) -> Any:
    """The model of a config, with the data preprocessor that may stand beside it, as mmengine's Runner builds it."""
    model = copy.copy(cfg['model'])
    if cfg.get('data_preprocessor') is not None and isinstance(model, dict):
        model.setdefault('data_preprocessor', cfg['data_preprocessor'])
    return model


def without_sync_bn(model: Node) -> Node:
    """The config of a model with BN in place of SyncBN, which needs GPUs and a process group."""
    for part in dicts_in(model):
        if part.get('type') == 'SyncBN':
            part['type'] = 'BN'
    return model
