"""Configs made small enough to run a step of each."""
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS

from mmvisattn.config import dicts_in, without_sync_bn

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(path for path in (ROOT / 'configs').glob('*/*.py') if path.parent.name != '_base_')
CLASSIFIERS = [path for path in CONFIGS if re.search(r'_in\d+k|-imagenet-', path.stem)]
DETECTORS = [path for path in CONFIGS if re.search(r'-\d+e_', path.stem) and path not in CLASSIFIERS]
RESTORERS = [path for path in CONFIGS if re.match(r'(restormer(-small|-light)?|dncnn)_', path.stem)]
SEGMENTORS = [path for path in CONFIGS if path not in [*CLASSIFIERS, *DETECTORS, *RESTORERS]]
SIZES = ('tiny', 'small', 'base', 'large', 'huge')


def path_of(name: str) -> Path:
    """The config of this name."""
    return next(path for path in CONFIGS if path.stem == name)


def larger_are_slow(names: Sequence[str]) -> list:
    """The names of configs as a test's parameters. Those that differ from a smaller one in size or batch alone are slow."""
    size = rf'-({"|".join(SIZES)})(?=[-_])'
    smallest: dict[str, str] = {}
    kinds = {name: re.sub(r'_\d+xb\d+', '', re.sub(size, '', name)) for name in names}
    for name in sorted(names, key=lambda name: SIZES.index(re.search(size, f'{name}-tiny_')[1])):  # some have one size only
        smallest.setdefault(kinds[name], name)
    return [pytest.param(name, marks=[] if name == smallest[kinds[name]] else pytest.mark.slow) for name in names]


def groups_in_a_name(backbone: Config) -> str | None:
    """The part of a config's name for CrossFormer's groups; None if they are the architecture's own."""
    if backbone.get('lda_scope') == 'square':
        return '-square'
    size = backbone.get('group_size')
    return size and f'-g{size if isinstance(size, int) else size[0]}'


def replace_data(loader: Config, data_root: Path) -> None:
    """Load batches of 2 from other data of the same layout, without worker processes."""
    loader.batch_size, loader.num_workers, loader.persistent_workers = 2, 0, False
    loader.dataset.data_root = str(data_root)


def shallow(model: Config) -> None:
    """Keep at most three blocks per stage."""
    without_sync_bn(model)
    arch = getattr(MODELS.get(model.backbone.type), 'archs', {}).get(model.backbone.get('arch'), {})
    if 'depths' in arch:
        model.backbone.arch = dict(arch, depths=[min(depth, 3) for depth in arch['depths']])


def reduced_classifier(path: Path, data_root: Path, side: int = 64) -> Config:
    """The config with few blocks and channels, images of ``side`` pixels, and the miniature data's classes."""
    cfg = Config.fromfile(path)
    for loader, split in ((cfg.train_dataloader, 'train'), (cfg.val_dataloader, 'val')):
        replace_data(loader, data_root)
        loader.dataset = dict(
            type='CustomDataset', data_root=str(data_root), data_prefix=split, pipeline=loader.dataset.pipeline)
        for step in loader.dataset.pipeline:
            for key in ('scale', 'crop_size'):
                if key in step:
                    step[key] = (side, side) if isinstance(step[key], tuple) else side
    cfg.model.backbone.pop('init_cfg', None)
    cfg.model.data_preprocessor.num_classes = cfg.model.head.num_classes = 8
    shallow(cfg.model)
    if isinstance(cfg.model.backbone.arch, dict):
        cfg.model.backbone.arch.embed_dims = 32
        if 'num_heads' in cfg.model.backbone.arch:
            cfg.model.backbone.arch.num_heads = (1, 2, 4, 8)
        cfg.model.head.in_channels = 256
    return cfg


def reduced_detector(path: Path, data_root: Path) -> Config:
    """The config with a shallow backbone, narrow heads, sides of at most 160 pixels, and the miniature data's classes."""
    cfg = Config.fromfile(path)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        replace_data(loader, data_root)
        loader.dataset.type = 'mmvisattn.MiniatureCocoDataset'
        for step in dicts_in(loader.dataset.pipeline):
            if 'scale' in step:
                step['scale'] = (160, 128)
            if 'scales' in step:
                step['scales'] = [(160, 96), (160, 128)]
    fewer = dict(num_classes=8, fc_out_channels=64, num_queries=50, num_proposals=20, nms_pre=200, max_per_img=50, num=32)
    for part in dicts_in(cfg.model):
        part.update({name: number for name, number in fewer.items() if name in part})
    shallow(cfg.model)
    return cfg


def reduced(path: Path, data_root: Path, crop: int = 64) -> Config:
    """The config with at most three blocks per stage, narrow heads, crops of ``crop`` pixels, batches of 2, no worker
    processes, and other data of the same layout."""
    cfg = Config.fromfile(path)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        replace_data(loader, data_root)
        for step in loader.dataset.pipeline:
            if 'crop_size' in step:
                step.crop_size = (crop, crop)
            if 'scale' in step:
                step.scale = (2 * crop, crop)
    cfg.model.data_preprocessor.size = (crop, crop)
    for head in (cfg.model.decode_head, cfg.model.get('auxiliary_head') or {}):
        if head.get('type') in ('UPerHead', 'FCNHead'):
            head.channels = 64
    shallow(cfg.model)
    return cfg
