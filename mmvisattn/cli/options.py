"""``--cfg-options KEY=VALUE``: read, checked, and put into a config."""
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config, DictAction

from .checks import runner_keys
from .usage import MISSPELLED, UsageError, did_you_mean, nearest, shown


class ConfigOptions(DictAction):
    """mmengine's ``KEY=VALUE``, whose errors say what is wrong."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None) -> None:
        for text in [values] if isinstance(values, str) else values:
            if '=' not in text or text.startswith('='):
                raise UsageError(f'{option_string} {text}: KEY=VALUE is needed, such as data_root=/path/to/it')
        try:
            super().__call__(parser, namespace, values, option_string or '')
        except AssertionError as error:
            raise UsageError(f'{option_string} {" ".join(values)}: {error}') from error


def _keys(node: Any) -> Sequence[str]:
    if isinstance(node, dict):
        return [str(key) for key in node]
    return [str(i) for i in range(len(node))] if isinstance(node, (list, tuple)) else []


def _key_paths(node: Any, before: str = '') -> Iterator[str]:
    for key in _keys(node):
        yield before + key
        yield from _key_paths(node[key] if isinstance(node, dict) else node[int(key)], f'{before}{key}.')


def _value_at(node: Any, path: str) -> Any:
    for key in path.split('.'):
        node = node[key] if isinstance(node, dict) else node[int(key)]
    return node


def _similar_path(path: str, cfg: dict) -> str | None:
    """The key path most like one: one that ends with the same key, or is spelled alike."""
    paths = [*_key_paths(cfg), *runner_keys()]
    ends = [other for other in paths if other.endswith(f'.{path}')]
    return min(ends, key=len) if ends else nearest(path, paths)


def _check_copy(path: str, cfg: dict) -> None:
    """Fail for a part of a variable, such as ``test_pipeline``, whose content the config has elsewhere, where it is read."""
    first, _, rest = path.partition('.')
    if first in runner_keys() or not isinstance(cfg.get(first), (dict, list, tuple)):
        return
    copies = [other for key in cfg.keys() & runner_keys() for other in _key_paths(cfg[key], f'{key}.')
              if _value_at(cfg, other) == cfg[first]]
    if copies:
        raise UsageError(f'--cfg-options {path}: nothing reads {first} itself, whose content stands elsewhere; set '
                         + ' and '.join(f'{copy}.{rest}'.rstrip('.') for copy in sorted(copies)))


def _check_key(path: str, value: Any, cfg: dict) -> None:
    """Fail for a key that nothing would read, and for a value that stands for a whole part of the config.

    A part that is built from a class (its dict has a ``type``) takes what the class takes: the build will tell. Of other
    dicts nobody knows what they may hold, so only a key that looks like one of those there is an error.
    """
    node: Any = cfg
    keys = path.split('.')
    for i, key in enumerate(keys):
        if not isinstance(node, (dict, list, tuple)):
            raise UsageError(f'--cfg-options {path}: {".".join(keys[:i])} is {shown(node)}, which has no {key}')
        if key in _keys(node):
            node = node[key] if isinstance(node, dict) else node[int(key)]
            continue
        here = '.'.join(keys[:i])
        if i == 0 and key not in runner_keys():
            raise UsageError(f'--cfg-options {path}: the config has no {key}, and nothing would read it'
                             + did_you_mean(_similar_path(path, cfg)))
        if isinstance(node, (list, tuple)):
            raise UsageError(f'--cfg-options {path}: {here} has the elements 0 to {len(node) - 1}')
        alike = nearest(key, node, MISSPELLED)
        if i and alike and 'type' not in node:
            raise UsageError(f'--cfg-options {path}: {here} has no {key}{did_you_mean(".".join([*keys[:i], alike]))} '
                             '(A key that is meant so can be written into the config.)')
        return
    if isinstance(node, (dict, list, tuple)) and value is not None and not isinstance(value, (dict, list, tuple)):
        raise UsageError(f'--cfg-options {path}={value}: {path} has settings of its own, such as '
                         f'{path}.{next(iter(_keys(node)), "type")}; set one of these')


def merge_options(cfg: Config, options: dict[str, Any]) -> None:
    """Put the settings of a command line into a config.

    Raises:
        UsageError: if a key is none of the config, or its value cannot stand there.
    """
    present = cfg.to_dict()
    for path, value in options.items():
        _check_key(path, value, present)
        _check_copy(path, present)
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f'--cfg-options {" ".join(f"{key}={value}" for key, value in options.items())}: {error}') from error
