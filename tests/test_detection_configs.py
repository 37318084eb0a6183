"""Every detector's config is sound; one of each detector and family trains a step and predicts."""
import re

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, DefaultScope, init_default_scope
from reduced import DETECTORS, reduced_detector
from torch import nn

from mmvisattn.engine.checks import check_model

pytest.importorskip('mmdet')
NAME = re.compile(r'(?P<model>[a-z]+-[a-z-]+?)(?P<group>-g\d+)?_(?P<head>[a-z0-9-]+)'
                  r'_(?P<gpus>\d+)xb(?P<batch>\d+)-(?P<epochs>\d+)e_(?P<data>[a-z0-9]+)(-[a-z0-9]+)?$')
HEADS = dict(RetinaNet='retinanet', MaskRCNN='mask-rcnn', CascadeRCNN='cascade-mask-rcnn', ATSS='atss',
             SparseRCNN='sparse-rcnn', DINO='dino-4scale', FCOS='fcos')
# By family and detector: learning rate and weight decay.
RECIPES = {('CrossFormer', None): (1e-4, 1e-4), ('TopFormer', None): (1e-4, 1e-4), ('SMT', None): (1e-4, 0.05),
           ('SMT', 'MaskRCNN'): (2e-4, 0.05), ('SMT', 'SparseRCNN'): (2.5e-5, 1e-4)}


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')
    yield
    DefaultScope._instance_dict.clear()


@pytest.mark.parametrize('path', DETECTORS, ids=lambda path: path.stem)
def test_the_name_says_what_is_in_it_and_the_parts_fit(path):
    cfg, name = Config.fromfile(path), NAME.match(path.stem)
    assert name, f'{path.stem} does not follow the pattern'
    assert cfg.train_cfg.max_epochs == int(name['epochs']) == cfg.param_scheduler[-1].end
    assert cfg.train_dataloader.batch_size == int(name['batch'])
    assert cfg.auto_scale_lr.base_batch_size == int(name['batch']) * int(name['gpus'])
    assert HEADS[cfg.model.type] == name['head']
    groups = cfg.model.backbone.get('group_size')
    assert name['group'] == (groups and f'-g{groups if isinstance(groups, int) else groups[0]}')
    assert name['model'] == f"{cfg.model.backbone.type.split('.')[-1].lower()}-{cfg.model.backbone.arch}"
    check_model(cfg)


ONE_OF_EACH = [path for path in DETECTORS if re.match(r'(crossformer-pp-small|smt-small|topformer-[a-z]+)_', path.stem)
               and not re.match('topformer-(small|base)_retinanet|smt-small_dino.*-36e', path.stem)]


@pytest.mark.parametrize('path', ONE_OF_EACH, ids=lambda path: path.stem)
def test_trains_a_step_and_predicts(path, miniature_coco):
    cfg = reduced_detector(path, miniature_coco)
    model = MODELS.build(cfg.model)
    model.init_weights()
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = [p.clone() for p in model.backbone.parameters()]
    logs = model.train().train_step(pseudo_collate([dataset[i] for i in range(2)]), wrapper)
    assert logs['loss'].isfinite()
    assert any(not torch.equal(p, q) for p, q in zip(model.backbone.parameters(), before))
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    with torch.inference_mode():
        result = model.eval().test_step(pseudo_collate([dataset[0]]))[0]
    assert result.pred_instances.bboxes.shape[-1] == 4
    assert ('masks' in result.pred_instances) == ('mask' in path.stem)


@pytest.mark.parametrize('path', [path for path in ONE_OF_EACH if path.stem.endswith('_coco')], ids=lambda path: path.stem)
def test_the_recipe_is_the_papers(path, miniature_coco):
    cfg = reduced_detector(path, miniature_coco)
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    groups = {id(p): group for group in wrapper.param_groups for p in group['params']}
    weight = next(m.weight for m in model.backbone.modules() if isinstance(m, (nn.Linear, nn.Conv2d)))
    family = cfg.model.backbone.type.split('.')[-1]
    rate, decay = RECIPES.get((family, cfg.model.type), RECIPES[family, None])
    factor = 0.1 if cfg.model.type == 'DINO' else 1
    assert (groups[id(weight)]['lr'], groups[id(weight)]['weight_decay']) == pytest.approx((rate * factor, decay))
    assert isinstance(wrapper.optimizer, torch.optim.AdamW)
    undecayed = [p for m in model.modules() if isinstance(m, (nn.LayerNorm, nn.modules.batchnorm._BatchNorm))
                 for p in m.parameters()]
    undecayed += [p for name, p in model.named_parameters() if 'position_bias' in name]
    # A parameter of DINO's backbone is set by its rate's rule alone.
    assert all(groups[id(p)]['weight_decay'] == 0 for p in undecayed if cfg.model.type != 'DINO')
