"""Configs made small enough to run a step of each."""
from pathlib import Path

from mmengine.config import Config

from mmvisattn.models.backbones import SMT, CrossFormer

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path for path in (ROOT / 'configs').glob('*/*.py') if path.parent.name != '_base_')


def reduced(path: Path, data_root: Path, crop: int = 64) -> Config:
    """The config with at most three blocks a stage, crops of ``crop`` pixels, batches of 2, no worker processes, and other
    data of the same layout."""
    cfg = Config.fromfile(path)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.batch_size, loader.num_workers, loader.persistent_workers = 2, 0, False
        loader.dataset.data_root = str(data_root)
        for step in loader.dataset.pipeline:
            if 'crop_size' in step:
                step.crop_size = (crop, crop)
            if 'scale' in step:
                step.scale = (2 * crop, crop)
    cfg.model.data_preprocessor.size = (crop, crop)
    for part in [cfg.model.get(name, {}) for name in ('backbone', 'neck', 'decode_head', 'auxiliary_head')]:
        if 'norm_cfg' in part:
            part.norm_cfg.type = 'BN'  # no process group here; mmengine's Runner does the same
    family = {'mmvisattn.CrossFormer': CrossFormer, 'mmvisattn.SMT': SMT}.get(cfg.model.backbone.type)
    if family:
        arch = dict(family.archs[cfg.model.backbone.arch])
        cfg.model.backbone.arch = dict(arch, depths=[min(depth, 3) for depth in arch['depths']])
    return cfg
