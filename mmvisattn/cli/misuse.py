"""From the error that building a part of a config raised to the key, its value, and the nearest right one.

What a config may hold is known to the classes that are built from it and to nobody else, so little is checked beforehand:
the build itself fails, and its traceback tells which part of the config was being built. (Functions that build from a
config call it ``cfg`` in every mm package, and the registry ``registry``.) So there is no false alarm.
"""
import inspect
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pickle import UnpicklingError
from types import FrameType
from typing import Any

from mmengine.config import Config
from mmengine.registry import HOOKS, METRICS, OPTIMIZERS, WEIGHT_INITIALIZERS, Registry

import mmvisattn.registry  # noqa: F401  so that its scope is among those searched for a similar type
from mmvisattn.files import FULL

from .usage import MISSPELLED, UsageError, did_you_mean, nearest, one_line, shown

UNEXPECTED = re.compile(r"([\w.]+)\(\) got an unexpected keyword argument '(\w+)'")
# Configs that mmengine takes types from without naming the registry: optimizers' constructors, and ``_initialize``.
IMPLIED = (('optimizer_cfg', OPTIMIZERS), ('cp_cfg', WEIGHT_INITIALIZERS))
Place = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """A dict of a config from which something is built, and the registry of its type."""
    settings: dict
    registry: Registry

    @property
    def builder(self) -> Any:
        """The class or function of its type; None if the type is unknown."""
        kind = self.settings.get('type')
        try:
            return self.registry.get(kind) if isinstance(kind, str) else kind
        except RuntimeError:  # a type such as '' or 'a..b'
            return None


def _frames(error: BaseException) -> list[FrameType]:
    """The traceback's frames from mmengine's first call of a build function to the error."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    first = next((i for i, frame in enumerate(frames) if frame.f_globals.get('__name__', '').startswith('mmengine.')
                  and re.match('(build|initialize|from_cfg)', frame.f_code.co_name)), len(frames))
    return frames[first:]


def _parts(frames: list[FrameType]) -> list[Part]:
    """What was being built, from the whole to the part."""
    parts = []
    for frame in frames:
        for name, registry in (('cfg', frame.f_locals.get('registry')), *IMPLIED):
            settings = frame.f_locals.get(name)
            if isinstance(settings, dict) and isinstance(registry, Registry):
                parts.append(Part(settings, registry))
    return parts


def places(node: object, place: Place = ()) -> Iterator[tuple[Place, dict]]:
    """The key path and the content of every dict in a config, the outer ones first."""
    if isinstance(node, dict):
        yield place, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, child in children:
        yield from places(child, (*place, str(key)))


def _at(cfg: dict, place: Place) -> Any:
    node: Any = cfg
    for key in place:
        node = node[int(key)] if isinstance(node, (list, tuple)) else node[key]
    return node


def _shared(part: dict, node: dict) -> int:
    """Number of settings of a config's part that match the object being built."""
    return sum(key in part and bool(part[key] is value or part[key] == value) for key, value in node.items())


def _alike(part: dict, cfg: dict, within: Place = ()) -> list[tuple[int, Place]]:
    """The parts of a config that have the type of what was being built: how many settings they share, and where they are."""
    return [(_shared(part, node), place) for place, node in places(_at(cfg, within), within)
            if place and node.get('type') == part.get('type')]


def _place(cfg: dict, parts: list[Part]) -> Place:
    """The key path of the last of some nested parts; that of an outer one where a class makes the inner one by itself."""
    place: Place = ()
    for part in parts:
        inner = [found for found in _alike(part.settings, cfg, place) if found[0]]
        # A loop builds a data loader and an evaluator, which stand elsewhere in the config.
        whole = [found for found in _alike(part.settings, cfg) if found[0] == len(_at(cfg, found[1]))]
        if inner or whole:
            place = max(inner or whole, key=lambda found: found[0])[1]
    return place


def _argument_names(function: Any) -> set[str]:
    """The arguments that a class or function takes by name; those of base classes too where they are passed on."""
    names: set[str] = set()
    owners = inspect.getmro(function) if inspect.isclass(function) else ()
    for called in [vars(owner)['__init__'] for owner in owners if '__init__' in vars(owner)] or [function]:
        try:
            parameters = inspect.signature(called).parameters.values()
        except (TypeError, ValueError):  # written in C
            break
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return names - {'self'}


def similar_type(kind: str, registry: Registry) -> str | None:
    """The registered type whose name is most like one, with its scope where that is needed, if any is alike."""
    ancestors, root = [registry], registry
    while root.parent is not None:
        root = root.parent
        ancestors.append(root)
    scopes = [*ancestors, *(child for child in root.children.values() if child not in ancestors)]
    for scope in scopes:
        with suppress(ImportError):  # a package that this one works without may lack what it needs itself
            scope.import_from_location()
    name = nearest(kind.rpartition('.')[2], {name for scope in scopes for name in scope.module_dict})
    holders = [scope for scope in scopes if name in scope.module_dict]
    if not holders:
        return None
    holder = next((scope for scope in holders if scope.scope == kind.partition('.')[0]), holders[0])
    return name if holder in ancestors else f'{holder.scope}.{name}'


def _unknown_type(cfg: dict, place: Place, part: Part) -> str:
    kind = part.settings.get('type')
    if kind is None:
        siblings = _at(cfg, place[:-1])
        others = [key for key in siblings if key != place[-1]] if isinstance(siblings, dict) and place else []
        return (f'{".".join(place) or "a part of the config"}={shown(part.settings)} has no type'
                + did_you_mean(place and nearest(place[-1], others) or None))
    # A type may stand elsewhere than in its dict, as that of an optimizer wrapper's constructor does.
    keys = [(*found, key) for found, node in places(cfg) for key, value in node.items() if value == kind]
    key = next((key for key in keys if key[:-1] == place), keys[0] if keys else (*place, 'type'))
    return (f'{".".join(key)}={shown(kind)}: there is no such {part.registry.name}'
            + did_you_mean(similar_type(str(kind), part.registry)))


def _function(name: str, frames: list[FrameType]) -> Any:
    """What a function's qualified name stands for where it was called."""
    first, *rest = name.removesuffix('.__init__').split('.')
    found = frames[-1].f_globals.get(first)
    for attribute in rest:
        found = getattr(found, attribute, None)
    return found


def _no_argument(key: Place, value: object, function: Any) -> str:
    return f'{".".join(key)}={shown(value)}: {getattr(function, "__name__", function)} takes no such argument'


def _unknown_argument(cfg: dict, place: Place, part: Part | None, frames: list[FrameType], name: str,
                      argument: str) -> str | None:
    """One line for an argument that a function does not take; None if no key of the config is to blame."""
    keys = [(*found, argument) for found, node in places(cfg) if argument in node]
    key = next((key for key in keys if key[:-1] == place), None)
    if key is None and keys and str(frames[-1].f_globals.get('__name__')).startswith('mmengine.runner.'):
        part, key = None, keys[0]  # the Runner itself calls some classes: DataLoader, and loops without a type
    if key is None:
        return None
    function = part.builder if part else _function(name, frames)
    known = nearest(argument, _argument_names(function)) if callable(function) else None
    return _no_argument(key, _at(cfg, key), function or name) + did_you_mean(known)


def explanation(cfg: dict, error: Exception) -> str | None:
    """One line for an error that building a config's parts raised; None for any other error."""
    frames = _frames(error)
    if not frames:
        return None
    parts = _parts(frames)
    part, place = parts[-1] if parts else None, _place(cfg, parts)
    if part and part.builder is None:
        return _unknown_type(cfg, place, part)
    unexpected = UNEXPECTED.search(str(error))
    line = _unknown_argument(cfg, place, part, frames, *unexpected.groups()) if unexpected else None
    if line:
        return line
    if not place and isinstance(error, KeyError):  # as a log level is looked up in a table
        place = next(((*found, key) for found, node in places(cfg) for key, value in node.items() if (value,) == error.args),
                     place)
    where = '.'.join(place)
    setting = re.match(r'(\w+)=', str(error))
    if part and setting and setting[1] in part.settings:  # as the errors of this package begin
        return f'{where}.{" ".join(str(error).split())}'
    kind = f' ({part.settings["type"]})' if part and isinstance(part.settings.get('type'), str) else ''
    return f'{where or "the config"}{kind} fails: {one_line(error)} (--debug shows where)'


def check_open_arguments(cfg: Config) -> None:
    """Fail for a misspelt argument of hooks and metrics, some of which swallow every argument, or fail when they first save.

    Raises:
        UsageError: naming the key and the nearest right one.
    """
    for registry, names in ((HOOKS, ('default_hooks', 'custom_hooks')), (METRICS, ('val_evaluator', 'test_evaluator'))):
        with registry.switch_scope_and_registry(cfg.get('default_scope')) as scoped:
            for name in names:
                for place, node in places(cfg.to_dict().get(name), (name,)):
                    function = Part(node, scoped).builder
                    known = _argument_names(function) if callable(function) else set()
                    for key in set(node) - known:
                        if alike := nearest(key, known, MISSPELLED):
                            raise UsageError(_no_argument((*place, key), node[key], function) + did_you_mean(alike))


def _of_checkpoint(cfg: Config, error: Exception) -> str | None:
    """One line for an error that loading a checkpoint raised; None for any other error."""
    if isinstance(error, UnpicklingError):
        return f'load_from={cfg.get("load_from")}: {one_line(error)}'
    if re.match('loaded state dict .* parameter group', str(error)):  # torch's, of an optimizer
        return (f'--resume: the optimizer of {cfg.get("load_from")} has other groups of parameters than this config makes; '
                'resume with the optim_wrapper it was trained with (of earlier configs: '
                '--cfg-options optim_wrapper.constructor=DefaultOptimWrapperConstructor)')
    return None


@contextmanager
def config_errors(cfg: Config) -> Iterator[None]:
    """While active, errors of building a config's parts become ``UsageError``s that name the key; other errors pass."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # a class may raise anything
        if isinstance(error, OSError) and error.errno in FULL:
            raise UsageError(f'{cfg.get("work_dir")}: {FULL[error.errno]}; make room, or name another --work-dir') from error
        line = explanation(cfg.to_dict(), error)
        line = line or _of_checkpoint(cfg, error)
        if line is None:
            raise
        raise UsageError(line) from error
