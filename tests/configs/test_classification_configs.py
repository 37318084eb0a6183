"""Every classifier's config builds, trains a step and predicts; its name describes its content; the recipe is as stated."""
import re

import pytest
import torch
from helpers.recipes import DROP_PATH
from helpers.reduced import CLASSIFIERS, larger_are_slow, path_of, reduced_classifier
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, FUNCTIONS, MODELS, init_default_scope

from mmvisattn.datasets.miniature import SHAPES
from mmvisattn.without_torchvision import import_mmpretrain

pytest.importorskip('mmpretrain')
NAME = re.compile(r'(?P<model>[a-z]+-[a-z-]+?)(?P<pretrained>_in22k-pre)?_(?P<gpus>\d+)xb(?P<batch>\d+)(-(?P<epochs>\d+)e)?'
                  r'_(?P<data>in1k|in22k|miniature-imagenet)(-(?P<side>\d+)x\d+)?$')
ON_IMAGENET = pytest.mark.parametrize(
    'path', [path for path in CLASSIFIERS if 'miniature' not in path.stem], ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def scope():
    import_mmpretrain()
    init_default_scope('mmpretrain')


def test_how_many_there_are():
    assert len(CLASSIFIERS) == 18


@pytest.mark.parametrize('path', CLASSIFIERS, ids=lambda path: path.stem)
def test_the_name_says_what_is_in_it(path):
    cfg, name = Config.fromfile(path), NAME.match(path.stem)
    assert name, f'{path.stem} does not follow the pattern'
    epochs = int(name['epochs'] or (90 if name['data'] == 'in22k' else 30 if name['pretrained'] else 300))
    assert cfg.train_cfg.max_epochs == epochs == cfg.param_scheduler[-1].end
    assert cfg.train_dataloader.batch_size == int(name['batch'])
    assert cfg.auto_scale_lr.base_batch_size == int(name['batch']) * int(name['gpus'])
    side = int(name['side'] or 224)
    crop, = (step.scale for step in cfg.train_pipeline if step.type == 'RandomResizedCrop')
    tested = cfg.test_pipeline[-2]
    tested_side = 120 if name['data'] == 'miniature-imagenet' else side  # larger: see the data set's config
    assert crop == side and tested.get('crop_size', tested.get('scale')) in (tested_side, (tested_side, tested_side))
    assert name['model'] == f"{cfg.model.backbone.type.split('.')[-1].lower()}-{cfg.model.backbone.arch}"
    classes = {'in1k': 1000, 'in22k': 21841, 'miniature-imagenet': 8}[name['data']]
    assert cfg.model.head.num_classes == cfg.model.data_preprocessor.num_classes == classes
    assert bool(name['pretrained']) == ('init_cfg' in cfg.model.backbone)


@pytest.mark.parametrize('path', CLASSIFIERS, ids=lambda path: path.stem)
def test_data_sets_are_folders_of_classes(path, miniature_imagenet):
    cfg = Config.fromfile(path)
    for loader, count in ((cfg.train_dataloader, 16), (cfg.val_dataloader, 8), (cfg.test_dataloader, 8)):
        metainfo = dict(classes=sorted(SHAPES)) if loader.dataset.type == 'ImageNet' else loader.dataset.get('metainfo')
        dataset = DATASETS.build(dict(loader.dataset, data_root=str(miniature_imagenet), metainfo=metainfo))
        assert len(dataset) == count and dataset.get_data_info(0)['gt_label'] == 0


@pytest.mark.parametrize('name', larger_are_slow([path.stem for path in CLASSIFIERS]))
def test_trains_a_step_and_predicts(name, miniature_imagenet):
    cfg = reduced_classifier(path_of(name), miniature_imagenet)
    model = MODELS.build(cfg.model)
    model.init_weights()
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    collate = FUNCTIONS.get(cfg.train_dataloader.get('collate_fn', dict(type='default_collate'))['type'])
    assert collate is default_collate
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = [p.clone() for p in model.parameters()]
    logs = model.train().train_step(collate([dataset[i] for i in (0, 15)]), wrapper)
    assert logs['loss'].isfinite()
    assert any(not torch.equal(p, q) for p, q in zip(model.parameters(), before))
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    with torch.inference_mode():
        result = model.eval().test_step(collate([dataset[3]]))[0]
    assert result.pred_score.shape == (8,) and result.gt_label.item() == 3


@ON_IMAGENET
def test_recipes(path):
    cfg = Config.fromfile(path)
    rate, decay = (4e-5, 1e-8) if '-pre_' in path.stem else (1e-3, 0.05)
    with torch.device('meta'):
        groups = build_optim_wrapper(MODELS.build(cfg.model), cfg.optim_wrapper).optimizer.param_groups
    for group in groups:
        for parameter in group['params']:
            assert (group['lr'], group['weight_decay']) == (rate, decay if parameter.ndim > 1 else 0)
    warm_up, cosine = cfg.param_scheduler
    assert warm_up.end == cosine.begin == (20 if cosine.end == 300 else 5)
    assert cfg.model.backbone.get('drop_path_rate', 0.1) == DROP_PATH[path.stem.split('_')[0]]
    assert [part.type for part in cfg.model.train_cfg.augments] == ['Mixup', 'CutMix']
    steps = [step.type for step in cfg.train_pipeline]
    assert ('RandAugment' in steps) == ('RandomErasing' in steps) == ('384' not in path.stem)
    assert (cfg.get('custom_hooks') == [dict(type='EMAHook', momentum=1e-4)]) == ('topformer' in path.stem)
    preprocessor = cfg.model.data_preprocessor
    assert preprocessor.mean == [123.675, 116.28, 103.53] and preprocessor.std == [58.395, 57.12, 57.375]
    assert preprocessor.to_rgb
