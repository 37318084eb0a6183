"""Every detector's config is checked; one of each detector and family trains a step and predicts."""
import re
from pathlib import Path

import pytest
import torch
from helpers.recipes import DROP_PATH, assert_imagenet_preprocessing, is_named_norm, trained_parameters
from helpers.reduced import DETECTORS, ROOT, groups_in_a_name, reduced_detector
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, init_default_scope

from mmvisattn.cli.checks import check_model
from mmvisattn.config import dicts_in

mmdet = pytest.importorskip('mmdet')
NAME = re.compile(r'(?P<model>[a-z]+-[a-z-]+?)(?P<group>-g\d+|-square)?_(?P<head>[a-z0-9-]+)'
                  r'_(?P<gpus>\d+)xb(?P<batch>\d+)-(?P<epochs>\d+)e_(?P<data>[a-z0-9]+)(-[a-z0-9]+)?$')
HEADS = dict(RetinaNet='retinanet', MaskRCNN='mask-rcnn', CascadeRCNN='cascade-mask-rcnn', ATSS='atss',
             SparseRCNN='sparse-rcnn', DINO='dino-4scale', FCOS='fcos')
# By family and detector: learning rate, weight decay, which parameters do not decay, gradient clipping.
RECIPES = {
    ('crossformer', None): (1e-4, 1e-4, None, None), ('topformer', None): (1e-4, 1e-4, None, None),
    ('smt', None): (1e-4, 0.05, None, None), ('smt', 'MaskRCNN'): (2e-4, 0.05, is_named_norm, None),
    ('smt', 'SparseRCNN'): (2.5e-5, 1e-4, None, 1), ('smt', 'DINO'): (1e-4, 1e-4, None, 0.1)}
# By epochs: the epochs after which the rate falls to a tenth.
STEPS = {12: [8, 11], 36: [27, 33]}
ON_COCO = pytest.mark.parametrize(
    'path', [path for path in DETECTORS if re.search(r'e_coco$', path.stem)], ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


@pytest.mark.parametrize('path', DETECTORS, ids=lambda path: path.stem)
def test_the_name_says_what_is_in_it_and_the_parts_fit(path):
    cfg, name = Config.fromfile(path), NAME.match(path.stem)
    assert name, f'{path.stem} does not follow the pattern'
    assert cfg.train_cfg.max_epochs == int(name['epochs']) == cfg.param_scheduler[-1].end
    assert cfg.train_dataloader.batch_size == int(name['batch'])
    assert cfg.auto_scale_lr.base_batch_size == int(name['batch']) * int(name['gpus'])
    assert HEADS[cfg.model.type] == name['head']
    assert name['group'] == groups_in_a_name(cfg.model.backbone)
    assert name['model'] == f"{cfg.model.backbone.type.split('.')[-1].lower()}-{cfg.model.backbone.arch}"
    check_model(cfg)


ONE_OF_EACH = [path for path in DETECTORS if re.match(r'(crossformer-pp-small|smt-small|topformer-[a-z]+)_', path.stem)
               and not re.match('topformer-(small|base)_retinanet|smt-small_dino.*-36e', path.stem)]


@pytest.mark.parametrize('path', [
    pytest.param(path, id=path.stem, marks=[] if path in ONE_OF_EACH else pytest.mark.slow) for path in DETECTORS])
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


@ON_COCO
def test_the_recipe_is_the_papers(path, miniature_coco):
    cfg = reduced_detector(path, miniature_coco)
    family, detector = NAME.match(path.stem)['model'], cfg.model.type
    rate, decay, exempt, clipping = RECIPES.get((family.split('-')[0], detector)) or RECIPES[family.split('-')[0], None]
    for name, (lr, weight_decay) in trained_parameters(cfg).items():
        assert lr == pytest.approx(rate * (0.1 if detector == 'DINO' and name.startswith('backbone') else 1)), name
        assert weight_decay == (0 if exempt and exempt(name) else decay), name
    assert (cfg.optim_wrapper.get('clip_grad') or {}).get('max_norm') == clipping
    if detector != 'DINO':
        warming, falling = cfg.param_scheduler
        assert (warming.type, warming.start_factor, warming.end) == ('LinearLR', 0.001, 500)
        assert (falling.milestones, falling.gamma) == (STEPS[cfg.train_cfg.max_epochs], 0.1)
    assert tuple(cfg.optim_wrapper.optimizer.betas) == (0.9, 0.999)
    assert_imagenet_preprocessing(cfg.model.data_preprocessor)
    drop_path = 0.2 if path.stem.startswith('smt-base_sparse') else DROP_PATH[family]
    assert Config.fromfile(path).model.backbone.get('drop_path_rate', 0.1) == drop_path


MULTI_SCALE = [(1333, side) for side in range(480, 801, 32)]


@ON_COCO
def test_images_are_scaled_as_the_papers_do(path):
    cfg = Config.fromfile(path)
    assert next(step for step in cfg.test_pipeline if step.type == 'Resize').scale == (1333, 800)
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert steps['RandomFlip'].prob == 0.5
    if path.stem.startswith('smt'):
        short, (resize, crop, again) = steps['RandomChoice'].transforms
        assert [step.scales for step in (*short, again)] == [MULTI_SCALE] * 2
        assert resize.scales == [(4200, 400), (4200, 500), (4200, 600)]
        assert (crop.type, crop.crop_type, crop.crop_size) == ('RandomCrop', 'absolute_range', (384, 600))
        assert crop.allow_negative_crop
    elif cfg.train_cfg.max_epochs == 36:
        assert steps['RandomChoiceResize'].scales == MULTI_SCALE
    else:
        assert steps['Resize'].scale == (1333, 800)
    scales, flips, *_ = cfg.tta_pipeline[-1].transforms
    assert [step.scale for step in scales] == [(1333, 800), (666, 400), (2000, 1200)]
    assert [step.prob for step in flips] == [0.0, 1.0]
    with_mask = 'mask' in path.stem
    assert steps['LoadAnnotations'].get('with_mask', False) == with_mask
    assert cfg.val_evaluator.metric == (['bbox', 'segm'] if with_mask else 'bbox')


# By detector: (type, weight) of each of its losses, RPN's last.
LOSSES = {
    'RetinaNet': [('FocalLoss', 1), ('L1Loss', 1)],
    'ATSS': [('FocalLoss', 1), ('GIoULoss', 2), ('CrossEntropyLoss', 1)],
    'MaskRCNN': [('CrossEntropyLoss', 1), ('L1Loss', 1), ('CrossEntropyLoss', 1), ('CrossEntropyLoss', 1), ('L1Loss', 1)],
    'CascadeRCNN': [*[('CrossEntropyLoss', 1), ('GIoULoss', 10)] * 3, ('CrossEntropyLoss', 1), ('CrossEntropyLoss', 1),
                    ('SmoothL1Loss', 1)],
    'SparseRCNN': [('FocalLoss', 2), ('L1Loss', 5), ('GIoULoss', 2)] * 6,
    'DINO': [('FocalLoss', 1), ('L1Loss', 5), ('GIoULoss', 2)]}


@ON_COCO
def test_the_losses_are_the_detectors_own(path):
    model = Config.fromfile(path).model
    found = [(part.type, part.loss_weight) for name in ('roi_head', 'bbox_head', 'rpn_head')
             for part in dicts_in(model.get(name) or {}) if 'loss_weight' in part]
    assert sorted(found) == sorted(LOSSES[model.type])


MMDET = Path(mmdet.__file__).parent / '.mim/configs/_base_/models'


@pytest.mark.parametrize('ours, theirs, parts', [
    ('retinanet', 'retinanet_r50_fpn', ['bbox_head', 'train_cfg', 'test_cfg']),
    ('mask-rcnn', 'mask-rcnn_r50_fpn', ['rpn_head', 'roi_head', 'train_cfg', 'test_cfg']),
    ('cascade-mask-rcnn', 'cascade-mask-rcnn_r50_fpn', ['rpn_head', 'train_cfg', 'test_cfg'])])
def test_detectors_are_mmdets_own(ours, theirs, parts):
    ours = Config.fromfile(ROOT / f'configs/_base_/models/{ours}.py').model
    theirs = Config.fromfile(MMDET / f'{theirs}.py').model
    for part in parts:
        assert ours[part].to_dict() == theirs[part].to_dict()


@pytest.mark.parametrize('path', [path for path in DETECTORS if 'cascade' in path.stem], ids=lambda path: path.stem)
def test_the_heads_of_cascade_mask_rcnn(path):
    heads = Config.fromfile(path).model.roi_head.bbox_head
    assert len(heads) == 3
    for head in heads:
        assert (head.type, head.num_shared_convs, head.num_shared_fcs) == ('ConvFCBBoxHead', 4, 1)
        assert (head.norm_cfg.type, head.reg_class_agnostic, head.reg_decoded_bbox) == ('SyncBN', False, True)
        assert (head.loss_bbox.type, head.loss_bbox.loss_weight) == ('GIoULoss', 10.0)
