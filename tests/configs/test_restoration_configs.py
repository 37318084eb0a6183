"""Every restorer's config builds, trains a step and predicts; the recipe is the paper's."""
import cv2
import numpy as np
import pytest
import torch
from helpers.reduced import RESTORERS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATA_SAMPLERS, DATASETS, MODELS
from torch.utils.data import SequentialSampler

every_config = pytest.mark.parametrize('path', RESTORERS, ids=lambda path: path.stem)


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """A folder of images for every prefix that a config names."""
    root = tmp_path_factory.mktemp('images')
    image = np.random.default_rng(0).integers(0, 256, (50, 44, 3), dtype=np.uint8)
    for name in ('train', 'val', *(f'{split}/{side}' for split in ('train', 'test')
                                   for side in ('input', 'target', 'input_left', 'input_right'))):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(2):
            cv2.imwrite(str(root / name / f'{i}.png'), image)
    return root


@every_config
def test_trains_a_step_and_predicts(path, folders):
    cfg = Config.fromfile(path)
    cfg.model.backbone.update(embed_dims=8, depths=(1, 1, 1, 1), num_refinement_blocks=1, num_heads=(1, 1, 2, 2))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.data_root = str(folders)
    model = MODELS.build(cfg.model)
    model.init_weights()
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([dataset[i, 32] for i in range(2)])
    logs = model.train().train_step(batch, build_optim_wrapper(model, cfg.optim_wrapper))
    assert logs['loss'].isfinite()
    sample = DATASETS.build(cfg.val_dataloader.dataset)[0]
    with torch.inference_mode():
        result = model.eval().test_step(pseudo_collate([sample]))[0]
    assert result.restored.shape == result.clean.shape == (cfg.model.backbone.get('out_channels', 3), 50, 44)


@pytest.mark.parametrize('path', [path for path in RESTORERS if '300k' in path.stem], ids=lambda path: path.stem)
def test_the_recipe_is_the_papers(path):
    cfg = Config.fromfile(path)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 3e-4, 1e-4)
    assert cfg.optim_wrapper.clip_grad.max_norm == 0.01
    assert cfg.model.get('mixup_beta') == (1.2 if 'gaussian' in path.stem else None)
    cosine, = cfg.param_scheduler
    assert (cosine.begin, cosine.end, cosine.eta_min) == (92000, 300000, 1e-6) and cfg.train_cfg.max_iters == 300000
    sampler = DATA_SAMPLERS.build(dict(cfg.train_dataloader.batch_sampler, batch_size=cfg.train_dataloader.batch_size,
                                       sampler=SequentialSampler(range(8))))
    stages = []
    for iteration in (0, 92000, 156000, 204000, 240000, 276000):
        sampler.iteration = iteration
        patch, batch = sampler.stage()
        stages.append((patch, 8 * batch))
    assert stages == [(128, 64), (160, 40), (192, 32), (256, 16), (320, 8), (384, 8)]
    denoises = 'denoising' in path.stem or 'gaussian' in path.stem
    assert cfg.model.backbone.get('norm', 'with_bias') == ('bias_free' if denoises else 'with_bias')
    assert cfg.val_evaluator.get('channel', 'rgb') == ('y' if 'deraining' in path.stem else 'rgb')
