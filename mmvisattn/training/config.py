"""A config whose training survives being interrupted."""
import copy

from mmengine.config import Config

from mmvisattn.config import dicts_in

# What this package has better parts for, with the same arguments.
REPLACED = ('CheckpointHook', 'EpochBasedTrainLoop', 'InfiniteSampler', 'IterBasedTrainLoop', 'LocalVisBackend',
            'TensorboardVisBackend')
# Samplers of which every iterator begins anew.
RESTARTED = ('mmvisattn.InfiniteSampler', 'DefaultSampler', 'mmengine.DefaultSampler')
LOOPS = ('mmvisattn.EpochBasedTrainLoop', 'mmvisattn.IterBasedTrainLoop')
BATCHES = 'mmvisattn.ResumableBatchSampler'
DATA = 'mmvisattn.SeededDataset'
CHECKED = 'mmvisattn.CheckedDataset'
STATES = dict(type='mmvisattn.RandomStateHook')
STOPS = dict(type='mmvisattn.PreemptionHook')
REPLACED_SAMPLES = dict(type='mmvisattn.ReplacedSamplesHook')
SPEED = dict(type='mmvisattn.ThroughputHook')
GUARD = dict(type='mmvisattn.NonFiniteHook')
FLOAT16_PATIENCE = 20  # losses in a row: its scaler finds a smaller scale within fewer


def _replace(node: object) -> None:
    """Name parts of this package in place of mmengine's."""
    for part in dicts_in(node):
        if isinstance(part.get('type'), str) and part['type'].removeprefix('mmengine.') in REPLACED:
            part['type'] = f'mmvisattn.{part["type"].removeprefix("mmengine.")}'


def _make_resumable(loader: dict) -> None:
    """Let the batches of a data loader begin anywhere, and augment each sample by its own seed."""
    if (loader.get('batch_sampler') or {}).get('type') != BATCHES:
        loader['batch_sampler'] = dict(type=BATCHES, batch_sampler=loader.get('batch_sampler'))
        if 'drop_last' in loader:
            loader['batch_sampler']['drop_last'] = loader.pop('drop_last')
    if loader['dataset'].get('type') != DATA:
        loader['dataset'] = dict(type=DATA, dataset=loader['dataset'])


def _check(loader: dict, skip: int = 0) -> None:
    """Let a data loader report broken samples."""
    owner = loader['dataset'] if loader['dataset'].get('type') == DATA else loader
    if owner['dataset'].get('type') != CHECKED:
        owner['dataset'] = dict(type=CHECKED, dataset=owner['dataset'])
    owner['dataset']['skip'] = skip


def _add_hook(cfg: Config, hook: dict) -> None:
    hooks = [other for other in cfg.get('custom_hooks') or [] if other.get('type') != hook['type']]
    cfg.custom_hooks = [*hooks, hook]


def _has_scaler(cfg: Config) -> bool:
    """Whether the loss is scaled, as in float16."""
    wrapper = cfg.get('optim_wrapper') or {}
    return str(wrapper.get('type')).endswith('AmpOptimWrapper') and wrapper.get('dtype', 'float16') in (None, 'float16')


def _is_resumable(cfg: Config) -> bool:
    """Whether the loop and the sampler are among those that can go on anywhere."""
    loop, loader = cfg.get('train_cfg') or {}, cfg.get('train_dataloader') or {}
    sampler = loader.get('sampler')
    return loop.get('type') in LOOPS and isinstance(sampler, dict) and sampler.get('type') in RESTARTED and isinstance(
        loader.get('dataset'), dict)


def replaced(cfg: Config) -> Config:
    """A copy of a config with parts of this package in place of those of mmengine that an interruption harms.

    The keys stay the same. Trainings with other loops than mmengine's, and with samplers that cannot be begun anew, keep
    them: their checkpoints are whole, but a resumed training sees other data.
    """
    cfg = copy.deepcopy(cfg)
    for part in ((cfg.get('default_hooks') or {}).get('checkpoint'), (cfg.get('visualizer') or {}).get('vis_backends')):
        _replace(part)
    new = copy.deepcopy(cfg)
    loop = new.get('train_cfg') or {}
    if 'by_epoch' in loop and 'type' not in loop:
        loop['type'] = 'EpochBasedTrainLoop' if loop.pop('by_epoch') else 'IterBasedTrainLoop'
    _replace([loop, (new.get('train_dataloader') or {}).get('sampler')])
    return new if _is_resumable(new) else cfg


def surviving(cfg: Config, max_time: float | None = None, skip_bad: int = 0) -> Config:
    """A copy of a config whose training survives: ``replaced``, with resumable batches, checked data and a few more hooks.

    Args:
        cfg: the config.
        max_time: seconds after which the training saves and ends; None: no limit.
        skip_bad: number of broken samples that are replaced, in each process.
    """
    cfg = replaced(cfg)
    if _is_resumable(cfg):
        _make_resumable(cfg.train_dataloader)
    for name, skip in (('train_dataloader', skip_bad), ('val_dataloader', 0)):
        if isinstance((cfg.get(name) or {}).get('dataset'), dict):
            _check(cfg[name], skip)
    _add_hook(cfg, dict(STATES))
    _add_hook(cfg, dict(REPLACED_SAMPLES))
    _add_hook(cfg, dict(SPEED))
    _add_hook(cfg, dict(GUARD, patience=FLOAT16_PATIENCE if _has_scaler(cfg) else 1))
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if checkpoint.get('type') == 'mmvisattn.CheckpointHook':
        _add_hook(cfg, dict(STOPS) if max_time is None else dict(STOPS, max_time=max_time))
    return cfg
