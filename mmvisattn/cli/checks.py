"""Checks of a config before a training starts, so that each fault is reported in one line."""
import inspect
import json
import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mmengine.runner import Runner

from mmvisattn.config import dicts_in, metainfo_of
from mmvisattn.datasets.coco import Fault, coco_faults
from mmvisattn.dependencies import OPERATORS, installed, lacking, missing_message
from mmvisattn.models.backbone import Backbone
from mmvisattn.without_torchvision import import_mmpretrain

from .misuse import config_errors, places
from .usage import MISSPELLED, UsageError, did_you_mean, nearest, shown

# What mmcv and mmseg make of mmcv's operators. Of mmdet everything needs them.
MADE_OF_OPERATORS = {
    'CCHead', 'CrissCrossAttention', 'DCN', 'DCNv2', 'MMSyncBN', 'MultiScaleDeformableAttention', 'PSAHead', 'PointHead',
    'SAC', 'SideAdapterCLIPHead', 'carafe',
    *(f'SparseConv{n}d' for n in (2, 3, 4)), *(f'SubMConv{n}d' for n in (2, 3, 4)),
    *(f'SparseInverseConv{n}d' for n in (2, 3)), *(f'SparseConvTranspose{n}d' for n in (2, 3))}
# Heads with classes of their own: edges, and things with stuff.
OWN_CLASSES = ('STDCHead', 'FusedSemanticHead')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# What else a Runner looks up in its config (mmengine/runner/runner.py), and what our tools do.
OTHER_KEYS = ('activation_checkpointing', 'compile', 'efficient_conv_bn_eval', 'find_unused_parameters',
              'model_wrapper_cfg', 'sync_bn', 'tta_model', 'tta_pipeline')
# The least value of settings that mmengine takes as they are, and then trains nothing or fails late.
LEAST = {
    'train_cfg': dict(max_iters=1, max_epochs=1, val_interval=1),
    **{name: dict(batch_size=1, num_workers=0) for name in LOADERS},
}
LOG_LEVELS = ('CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG')


def check_packages(cfg: Config) -> None:
    """Fail where a config is of packages that are missing, or needs mmcv's operators, which are.

    Raises:
        UsageError: with the command that installs them.
    """
    types = [str(part['type']) for part in dicts_in(list(cfg.values())) if 'type' in part]
    scopes = {cfg.get('default_scope'), *(name.split('.')[0] for name in types)}
    for package in sorted({'mmseg', 'mmdet', 'mmpretrain'} & scopes):
        if missing := lacking(package):
            raise UsageError(missing_message(missing, 'the config'))
    if 'mmpretrain' in scopes:
        import_mmpretrain()
    on_gpus = {'FocalLoss'} if torch.cuda.is_available() else set()  # on CPUs it does without
    parts = (MADE_OF_OPERATORS | on_gpus).intersection(name.split('.')[-1] for name in types)
    if parts and not installed(OPERATORS):
        raise UsageError(missing_message(OPERATORS, f'{min(parts)} in the config'))


def runner_keys() -> set[str]:
    """The keys that mean something at the top of a config."""
    return {*inspect.signature(Runner.__init__).parameters, *OTHER_KEYS} - {'self', 'cfg'}


def check_keys(cfg: Config, path: Path, *keys: str) -> None:
    """Fail where a config lacks a part.

    Args:
        cfg: the config.
        path: its file.
        keys: of the parts that are needed.

    Raises:
        UsageError: naming the part, and the key that may be a misspelling of it.
    """
    for key in keys:
        if not isinstance(cfg.get(key), (dict, list)):
            alike = nearest(key, set(cfg) - runner_keys())
            given = f'{key}={shown(cfg[key])}, which is no dict' if key in cfg else f'no {key}'
            hint = f'; did you mean {key} where it has {alike}?' if alike else ''
            raise UsageError(f'the config {path} has {given}{hint}')


def _is_used(value: object, setting: object) -> bool:
    """Whether a variable of a config is no misspelling of a setting: it is of another kind, or the setting holds it."""
    return not isinstance(value, dict) or value in (list(setting) if isinstance(setting, (list, tuple)) else [setting])


def _check_rate(cfg: Config) -> None:
    wrapper = cfg.get('optim_wrapper')
    optimizer = wrapper.get('optimizer') if isinstance(wrapper, dict) else None
    rate = optimizer.get('lr') if isinstance(optimizer, dict) else None
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, (int, float)) or not rate >= 0):
        raise UsageError(f'optim_wrapper.optimizer.lr={shown(rate)} must be a number, at least 0')


def check_settings(cfg: Config) -> None:
    """Fail for a misspelt key at the top of a config, which nothing would read, and for numbers that make no sense.

    Raises:
        UsageError: naming the key and what is right.
    """
    right = runner_keys() - set(OTHER_KEYS)
    for key in set(cfg) - runner_keys():
        alike = nearest(key, right, MISSPELLED)
        if alike and not key.startswith(f'{alike}_') and not _is_used(cfg[key], cfg.get(alike)):
            raise UsageError(f'the config has {key}, and nothing would read it{did_you_mean(alike)}')
    if cfg.get('load_from') and '://' not in str(cfg.load_from) and not Path(cfg.load_from).is_file():
        raise UsageError(f'load_from={shown(cfg.load_from)}: there is no such checkpoint')
    if not isinstance(cfg.get('resume') or False, bool):
        raise UsageError(f'resume={shown(cfg.resume)} must be True or False')
    level = cfg.get('log_level') or 'INFO'
    if isinstance(level, str) and level not in LOG_LEVELS:
        raise UsageError(f'log_level={shown(level)} must be one of {", ".join(LOG_LEVELS)}')
    if not isinstance(cfg.get('custom_hooks') or [], (list, tuple)):
        raise UsageError(f'custom_hooks={shown(cfg.custom_hooks)} must be a list')
    for part, least in LEAST.items():
        if not isinstance(cfg.get(part) or {}, dict):
            raise UsageError(f'{part}={shown(cfg[part])} must be a dict')
        for key, lowest in least.items():
            value = (cfg.get(part) or {}).get(key)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if value is not None and not (number and value >= lowest and not value % 1 > 0):
                raise UsageError(f'{part}.{key}={shown(value)} must be a whole number, at least {lowest}')
    _check_rate(cfg)
    for name in LOADERS:
        loader = cfg.get(name) or {}
        if loader.get('persistent_workers') and loader.get('num_workers') == 0:
            raise UsageError(f'{name}.persistent_workers=True needs workers, and num_workers=0; '
                             f'set {name}.persistent_workers=False, too')


def check_path(key: str, value: object) -> None:
    """Check that a config's value is a path.

    Raises:
        UsageError: naming the key.
    """
    if not isinstance(value, (str, Path)):
        raise UsageError(f'{key}={shown(value)} is no path; the folder of that name is ./{value}')


def datasets_in(cfg: Config) -> Iterator[tuple[str, dict]]:
    """(name of the data loader, data set) for every data set with a root, wrapped ones too."""
    for name in LOADERS:
        for node in dicts_in((cfg.get(name) or {}).get('dataset', {})):
            if 'data_root' in node:
                yield name, node


def check_data(cfg: Config, *names: str) -> None:
    """Check that the folders and annotation files of these data loaders exist, and that the categories fit.

    Raises:
        UsageError: with the first fault, and how to fix it.
    """
    for name, dataset in datasets_in(cfg):
        if name not in names:
            continue
        is_imagenet = str(dataset.get('type')).split('.')[-1] == 'ImageNet'
        prefixes = dataset.get('data_prefix') or (is_imagenet and dataset.get('split')) or {}
        parts = {'ann_file': dataset.get('ann_file'),
                 **(prefixes if isinstance(prefixes, dict) else {'data_prefix': prefixes})}
        parts = {key: part for key, part in parts.items() if part}
        for key, part in dict(parts, data_root=dataset['data_root'] or '').items():
            check_path(f'{name}: {key}', part)
        if '://' in str(dataset['data_root']):  # on another machine
            continue
        root = Path(dataset['data_root'] or '')
        for path in [root, *(root / part for part in parts.values())]:
            if not path.exists():
                raise UsageError(f'{name}: {path} does not exist (working folder: {Path.cwd()}); put the data there, or set '
                                 'its root: --cfg-options data_root=/path/to/data')
        if str(dataset.get('ann_file', '')).endswith('.json'):
            _check_categories(cfg, name, dataset, root / dataset['ann_file'])
        if str(dataset.get('type')).split('.')[-1] == 'CustomDataset' and dataset.get('with_label', True):
            _check_class_folders(cfg, name, dataset, root / parts.get('data_prefix', parts.get('img_path', '')))


def _first(names: Sequence[str]) -> str:
    """The first eight of some names, for a message."""
    return ', '.join(names[:8]) + (' …' if len(names) > 8 else '')


def _classes(cfg: Config, dataset: dict) -> tuple[str, ...]:
    """The classes of a data set; an empty tuple if nothing names them."""
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        return tuple(metainfo_of(dataset).get('classes') or ())


def _categories(path: Path) -> list[str]:
    """The names of the categories that a file in COCO's layout lists, without reading the rest, which may be large.

    Raises:
        UsageError: if the file is empty or cut off within its categories.
    """
    if not path.stat().st_size:
        raise UsageError(f'{path} is empty')
    with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for found in re.finditer(rb'"categories"\s*:\s*(?=\[)', content):
            listed = _list_at(content, found.end(), path)
            if listed and all(isinstance(category, dict) and 'name' in category for category in listed):
                return [str(category['name']) for category in listed]  # other lists may have that name, too
    return []


def _list_at(content: mmap.mmap, start: int, path: Path) -> list:
    """The JSON list that begins at a position of a file."""
    size = 2**16
    while True:
        text = content[start:start + size].decode(errors='ignore')
        try:
            return json.JSONDecoder().raw_decode(text)[0]
        except json.JSONDecodeError as error:
            if start + size >= len(content):
                raise UsageError(f'the categories of {path} cannot be read: {error}') from error
            size *= 4


def _check_categories(cfg: Config, name: str, dataset: dict, path: Path) -> None:
    """A class missing from the file would shift all labels after it; a category without a class would be left out."""
    classes, categories = _classes(cfg, dataset), _categories(path)
    lacking = [cls for cls in classes if cls not in categories]
    unlisted = [category for category in categories if category not in classes]
    chosen = (dataset.get('metainfo') or {}).get('classes')
    if not classes or not (lacking or (unlisted and not chosen)):
        return
    words = [f'it lacks {", ".join(lacking[:8])}'] if lacking else []
    words += [f'it has {", ".join(unlisted[:8])} in addition'] if unlisted else []
    raise UsageError(
        f'{name}: {path} does not list the {len(classes)} classes of {dataset["type"]}: {"; ".join(words)}. Set the '
        "classes to learn: metainfo=dict(classes=(…)) in every data set, and their number as num_classes of the heads")


def _check_class_folders(cfg: Config, name: str, dataset: dict, root: Path) -> None:
    """mmpretrain takes the folders in the order of their names for the classes: with others, labels would be shifted."""
    if dataset.get('ann_file'):
        return
    folders, classes = sorted(path.name for path in root.iterdir() if path.is_dir()), _classes(cfg, dataset)
    numbers = [len(classes)] if classes else [part['num_classes'] for part in dicts_in(cfg.model) if part.get('num_classes')]
    listed = f'{name}: {root} has {len(folders)} folders ({_first(folders)})'
    if any(number != len(folders) for number in numbers):
        among = f' ({_first(classes)})' if classes else ' in the model'
        raise UsageError(f'{listed}, but there are {numbers[0]} classes{among}; there must be one folder for each '
                         'class, an empty one if it has no image, and no other')
    if any(cls in folders and folder != cls for folder, cls in zip(folders, classes)):
        raise UsageError(f'{listed}, but the classes are {_first(classes)}: metainfo=dict(classes=(…)) must have the order '
                         'of the folders, which is by name')


def _is_coco(dataset: dict) -> bool:
    """Whether a data set of a config is mmdet's ``CocoDataset``, or made of it; in the current scope."""
    kind = dataset.get('type')
    with DATASETS.switch_scope_and_registry(None) as registry:
        found = registry.get(kind) if isinstance(kind, str) else kind
    return any(base.__name__ == 'CocoDataset' for base in getattr(found, '__mro__', ()))


def annotation_faults(dataset: dict) -> list[Fault]:
    """What is wrong with the annotation file of a data set in COCO's layout; nothing for others. In the current scope."""
    if not _is_coco(dataset) or not dataset.get('ann_file'):
        return []
    classes = metainfo_of(dataset).get('classes') or ()
    return coco_faults(Path(dataset.get('data_root') or '') / dataset['ann_file'], classes)


def check_annotations(cfg: Config, *names: str) -> list[str]:
    """Check the annotation files in COCO's layout of these data loaders completely.

    Returns:
        What to report: which annotations are left out.

    Raises:
        UsageError: with the first fault on which a training would go wrong, and how many more there are.
    """
    notes, seen = [], []
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        for name, dataset in datasets_in(cfg):
            source = (dataset.get('data_root'), dataset.get('ann_file'))
            if name not in names or source in seen:
                continue
            seen.append(source)
            faults = annotation_faults(dataset)
            wrong = [fault for fault in faults if fault.stops]
            if wrong:
                more = f' ({len(wrong) - 1} more faults: tools/check_dataset.py lists them)' if len(wrong) > 1 else ''
                raise UsageError(f'{name}: {wrong[0]}{more}')
            notes += [f'{name}: {fault}' for fault in faults]
    return notes


def check_model(cfg: Config) -> None:
    """Check that the heads have the number of classes of the data, and that channels match the backbone.

    Raises:
        UsageError: with the wrong setting and its right value.
    """
    with config_errors(cfg):
        _check_num_classes(cfg)
        _check_topk(cfg)
        _check_channels(cfg)


def _check_num_classes(cfg: Config) -> None:
    for name, dataset in datasets_in(cfg):
        classes = _classes(cfg, dataset)
        for place, part in places(cfg.model, ('model',)) if classes else ():
            number = part.get('num_classes')
            if number is not None and number != len(classes) and str(part.get('type')).split('.')[-1] not in OWN_CLASSES:
                raise UsageError(f'{part.get("type") or ".".join(place)} has num_classes={number}, but the {len(classes)} '
                                 f'classes of {name} are {_first(classes)}')


def _check_topk(cfg: Config) -> None:
    """mmpretrain's accuracy finds out at the end of the first validation."""
    number = (cfg.model.get('head') or {}).get('num_classes')
    for name in ('val_evaluator', 'test_evaluator'):
        for metric in dicts_in(cfg.get(name) or {}) if number else ():
            topk = metric.get('topk') if metric.get('type') == 'Accuracy' else None
            if topk and max(topk if isinstance(topk, (list, tuple)) else [topk]) > number:
                raise UsageError(f'{name}.topk={shown(topk)}, but there are only {number} classes')


def _class(part: object) -> Any:
    """What a part of a model is built from; None if its type is missing or unknown, which the build explains."""
    kind = part.get('type') if isinstance(part, dict) else None
    return MODELS.get(kind) if isinstance(kind, str) else kind


def _out_channels(backbone: Any) -> list[int] | None:
    """Channels of the maps that a backbone of this package returns; None for other backbones."""
    family = _class(backbone)
    if not (isinstance(family, type) and issubclass(family, Backbone)):
        return None
    with torch.device('meta'):
        built: Any = MODELS.build(dict(backbone, init_cfg=None))
    return [built.out_channels[i] for i in built.out_indices]


def _check_channels(cfg: Config) -> None:
    channels = _out_channels(cfg.model.backbone) if 'backbone' in cfg.model else None
    necks = cfg.model.get('neck') or []
    for neck in necks if isinstance(necks, list) else [necks]:
        kind = _class(neck)
        given = neck.get('in_channels') if kind else None
        if channels is None or not isinstance(given, (list, tuple)):
            return
        expected = channels[:len(given)] if getattr(kind, 'takes_semantics', False) else channels
        if list(given) != expected:
            raise UsageError(f'the neck {neck["type"]} has in_channels={list(given)}, but the maps of '
                             f'{cfg.model.backbone.type} have {expected}')
        if not getattr(kind, 'keeps_channels', False):
            return
    for name in ('decode_head', 'auxiliary_head'):
        head = cfg.model.get(name) or {}
        if channels is None or not isinstance(head, dict) or 'in_channels' not in head:
            continue
        index, given = head.get('in_index', -1), head['in_channels']
        try:
            wanted = [channels[i] for i in index] if isinstance(index, (list, tuple)) else channels[index]
        except (IndexError, TypeError) as error:
            raise UsageError(f'{name} has in_index={shown(index)}, but {cfg.model.backbone.type} has the maps 0 to '
                             f'{len(channels) - 1}') from error
        if (list(given) if isinstance(given, (list, tuple)) else given) != wanted:
            raise UsageError(f'{name} has in_channels={given}, but the maps {index} of {cfg.model.backbone.type} have '
                             f'{wanted}')
