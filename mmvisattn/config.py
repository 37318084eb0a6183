"""Walking through configs, and changing what a machine needs changed."""
from collections.abc import Iterator
from typing import TypeVar

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


def classes_of(dataset: dict) -> tuple[str, ...]:
    """The classes of a data set in a config: chosen there, as names or as the path of a list, or those of its type; an empty
    tuple if neither names them. The scope is the current one."""
    chosen, kind = (dataset.get('metainfo') or {}).get('classes'), dataset.get('type')
    if isinstance(chosen, str):
        chosen = list_from_file(chosen)
    metainfo = getattr(DATASETS.get(kind) if isinstance(kind, str) else kind, 'METAINFO', {})
    return tuple(chosen or metainfo.get('classes') or ())


def without_sync_bn(model: Node) -> Node:
    """The config of a model with BN in place of SyncBN, which needs GPUs and a process group."""
    for part in dicts_in(model):
        if part.get('type') == 'SyncBN':
            part['type'] = 'BN'
    return model
