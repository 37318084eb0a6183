"""Every restorer's config builds, trains a step and evaluates its test sets; the recipe is the paper's."""
import cv2
import h5py
import numpy as np
import pytest
import torch
from helpers.reduced import RESTORERS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATA_SAMPLERS, DATASETS, MODELS
from scipy.io import loadmat, savemat
from torch.utils.data import SequentialSampler

from mmvisattn.cli.checks import datasets_in
from mmvisattn.weights.catalog import catalog

every_config = pytest.mark.parametrize('path', RESTORERS, ids=lambda path: path.stem)
PAPERS = [path for path in RESTORERS if '300k' in path.stem]
CLEAN = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (56, 48, 3), dtype=np.uint8), (0, 0), 3)
CLEAN = cv2.normalize(CLEAN, None, 0, 255, cv2.NORM_MINMAX)


def write_dnd(info, images):
    """Two images with 20 boxes each, as MATLAB writes them: HDF5 with arrays transposed."""
    images.mkdir(parents=True)
    noisy = CLEAN.astype(np.float32) / 255
    with h5py.File(info, 'w') as file:
        references = []
        for i in range(2):
            boxes = np.array([[1 + k, 2, 20 + k, 25] for k in range(20)], float)  # top, left, bottom, right from 1
            file[f'#refs#/{i}'] = boxes.T
            references.append(file[f'#refs#/{i}'].ref)
            with h5py.File(images / f'{i + 1:04d}.mat', 'w') as image:
                image['InoisySRGB'] = noisy.T
        file.create_dataset('info/boundingboxes', data=np.array([references], dtype=h5py.ref_dtype))


def write_data(cfg, root):
    """Two images in each folder that a config names, and files in the formats of SIDD, DND and DPDD."""
    for _, dataset in datasets_in(cfg):
        dataset.data_root = str(root)
        if 'indices' in dataset:
            dataset.indices = 2
        for path in (dataset.get('subsets') or {}).values():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            np.save(root / path, [0] if 'indoor' in path else [1])
        if dataset.type == 'mmvisattn.DNDBoxes':
            write_dnd(root / dataset.data_prefix.info, root / dataset.data_prefix.degraded)
            continue
        for path in (root / part for part in dataset.data_prefix.values()):
            folder = path.parent if path.suffix == '.mat' else path
            folder.mkdir(parents=True, exist_ok=True)
            if path.suffix == '.mat':
                savemat(path, {path.stem: np.broadcast_to(CLEAN[:24, :24], (2, 3, 24, 24, 3))})
                continue
            for i in range(2):
                cv2.imwrite(str(folder / f'{i}.png'), CLEAN)


@every_config
def test_trains_a_step_and_predicts(path, tmp_path):
    cfg = Config.fromfile(path)
    cfg.model.backbone.update(dict(dims=4, depth=3) if cfg.model.backbone.type == 'mmvisattn.DnCNN' else dict(
        embed_dims=8, depths=(1, 1, 1, 1), num_refinement_blocks=1, num_heads=(1, 1, 2, 2)))
    write_data(cfg, tmp_path)
    model = MODELS.build(cfg.model)
    model.init_weights()
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([dataset[i, 32] for i in range(2)])
    logs = model.train().train_step(batch, build_optim_wrapper(model, cfg.optim_wrapper))
    assert logs['loss'].isfinite()
    sample = DATASETS.build(cfg.val_dataloader.dataset)[0]
    with torch.inference_mode():
        result = model.eval().test_step(pseudo_collate([sample]))[0]
    assert result.restored.shape == result.clean.shape == (cfg.model.backbone.get('out_channels', 3), 56, 48)


@pytest.mark.parametrize('path', [path for path in PAPERS if 'sigma' not in path.stem or 'sigma15' in path.stem],
                         ids=lambda path: path.stem)
def test_every_published_figure_has_its_test_set(path, tmp_path):
    cfg = Config.fromfile(path)
    write_data(cfg, tmp_path / 'data')
    for part in cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else ():
        if part.type.endswith('Submission'):
            part.out_dir = str(tmp_path / part.test_set)
    dataset, evaluator = DATASETS.build(cfg.test_dataloader.dataset), Evaluator(cfg.test_evaluator)
    for i in range(len(dataset)):
        sample = dataset[i]['data_samples']
        sample.restored = 0.99 * dataset[i]['inputs'][:cfg.model.backbone.get('out_channels', 3)]
        evaluator.process(data_samples=[sample])
    scores = evaluator.evaluate(len(dataset))
    assert all(np.isfinite(value) for value in scores.values())
    found = {tuple(name.split('/')[1:]) for name in scores}
    assert set(catalog()[path.stem].figures) <= found
    protocols = {name.split('/')[0] for name in scores}
    task = next(task for task in PROTOCOLS if task in path.stem)
    assert protocols == PROTOCOLS[task]
    if task == 'real-denoising':
        blocks = loadmat(tmp_path / 'SIDD/Idenoised.mat')['Idenoised']
        assert blocks.shape == (2, 3, 24, 24, 3) and blocks.dtype == np.float32
        boxes = loadmat(tmp_path / 'DND/0002.mat')
        assert boxes['Idenoised'].shape == (1, 20) and boxes['eval_version'] == '1.0' and not boxes['israw']
        assert boxes['Idenoised'][0, 19].shape == (20, 24, 3)


PROTOCOLS = {'gaussian': {'gaussian'}, 'deraining': {'deraining'}, 'real-denoising': {'sidd'}, 'defocus': {'dpdd'},
             'motion': {'gopro', 'hide', 'realblur'}}


@pytest.mark.parametrize('path', PAPERS, ids=lambda path: path.stem)
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


@pytest.mark.parametrize('path', [path for path in PAPERS if 'gaussian' in path.stem], ids=lambda path: path.stem)
def test_the_strength_of_the_noise(path):
    cfg = Config.fromfile(path)
    kind, strength = path.stem.split('_')[1].removeprefix('gaussian-').split('-')
    datasets = cfg.test_dataloader.dataset.datasets
    names = ['Set12', 'BSD68', 'Urban100'] if kind == 'gray' else ['CBSD68', 'Kodak24', 'McMaster', 'Urban100']
    sigmas = [15, 25, 50] if strength == 'blind' else [int(strength.removeprefix('sigma'))]
    assert [one.test_set for one in datasets] == [f'{name} sigma {sigma}' for name in names for sigma in sigmas]
    for dataset in [*datasets, cfg.train_dataloader.dataset]:
        load, noise = dataset.pipeline[0], dataset.pipeline[-2]
        assert load.get('channels', 3) == (1 if kind == 'gray' else 3)
        if 'test_set' in dataset:
            assert dataset.test_set.endswith(f'sigma {noise.sigma}') and noise.seed == 0
    assert noise.sigma == ((0, 50) if strength == 'blind' else sigmas[0]) and 'seed' not in noise


def test_files_of_real_noise_that_are_lacking_or_damaged_are_named(tmp_path):
    write_dnd(tmp_path / 'info.mat', tmp_path / 'images')
    (tmp_path / 'images/0002.mat').unlink()
    with pytest.raises(FileNotFoundError, match=r'images/0002\.mat'):
        DATASETS.build(dict(type='mmvisattn.DNDBoxes', data_root=str(tmp_path), pipeline=[],
                            data_prefix=dict(info='info.mat', degraded='images')))
    savemat(tmp_path / 'noisy.mat', dict(blocks=np.broadcast_to(CLEAN[:24, :24], (2, 3, 24, 24, 3))))
    (tmp_path / 'noisy.mat').write_bytes((tmp_path / 'noisy.mat').read_bytes()[:500])
    dataset = DATASETS.build(dict(type='mmvisattn.SIDDBlocks', data_root=str(tmp_path), pipeline=[],
                                  data_prefix=dict(degraded='noisy.mat')))
    with pytest.raises(ValueError, match=r'noisy\.mat is damaged'):
        dataset.prepare_data(0)
