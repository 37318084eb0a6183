"""Every segmentor's config builds, trains a step and predicts; its name describes its content; the recipe is the paper's."""
import re

import pytest
import torch
from helpers.recipes import DROP_PATH, assert_imagenet_preprocessing, is_named_norm, trained_parameters
from helpers.reduced import (
    CONFIGS,
    DETECTORS,
    RESTORERS,
    SEGMENTORS,
    groups_in_a_name,
    larger_are_slow,
    path_of,
    reduced,
)
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, init_default_scope

pytest.importorskip('mmseg')
NAME = re.compile(r'(?P<model>[a-z]+-[a-z-]+?)(?P<group>-g\d+|-square)?_(?P<head>[a-z-]+)'
                  r'_(?P<gpus>\d+)xb(?P<batch>\d+)-(?P<schedule>\d+k?)'
                  r'_(?P<data>[a-z0-9]+)-(?P<width>\d+)x(?P<height>\d+)$')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


def test_how_many_there_are():
    assert (len(SEGMENTORS), len(DETECTORS), len(RESTORERS)) == (34, 27, 19)
    assert len({path.name for path in CONFIGS}) == len(CONFIGS)  # mim searches by base name


@pytest.mark.parametrize('path', SEGMENTORS, ids=lambda path: path.stem)
def test_the_name_says_what_is_in_it(path):
    cfg, name = Config.fromfile(path), NAME.match(path.stem)
    assert name, f'{path.stem} does not follow the pattern'
    iterations = int(name['schedule'].replace('k', '000'))
    assert cfg.train_cfg.max_iters == iterations == cfg.param_scheduler[-1].end
    assert cfg.train_dataloader.batch_size == int(name['batch'])
    neck = str(cfg.model.get('neck', {}).get('type')).endswith('MDTANeck')
    assert name['head'].startswith('mdta-') == neck
    assert name['head'].removeprefix('mdta-') in (cfg.model.decode_head.type.lower().replace('head', '-head').split('.')[-1],
                            {'FPNHead': 'fpn', 'UPerHead': 'upernet'}.get(cfg.model.decode_head.type))
    assert cfg.auto_scale_lr.base_batch_size == int(name['batch']) * int(name['gpus'])
    assert tuple(cfg.crop_size) == (int(name['height']), int(name['width'])) == tuple(cfg.model.data_preprocessor.size)
    arch = cfg.model.backbone.arch
    assert name['group'] == groups_in_a_name(cfg.model.backbone)
    assert name['model'] == f"{cfg.model.backbone.type.split('.')[-1].lower()}-{arch}"


@pytest.mark.parametrize('name', larger_are_slow([path.stem for path in SEGMENTORS]))
def test_trains_a_step_and_predicts(name, miniature):
    cfg = reduced(path_of(name), miniature)
    model = MODELS.build(cfg.model)
    model.init_weights()
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([dataset[i] for i in range(2)])
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = [p.clone() for p in model.parameters()]
    logs = model.train().train_step(batch, wrapper)
    assert logs['loss'].isfinite()
    assert any(not torch.equal(p, q) for p, q in zip(model.parameters(), before))
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    with torch.inference_mode():
        result = model.eval().test_step(pseudo_collate([dataset[0]]))[0]
    assert result.pred_sem_seg.shape == result.gt_sem_seg.shape == dataset[0]['data_samples'].ori_shape


# By family and head: learning rate, weight decay, which parameters do not decay, rate of the head over the backbone's,
# power of the polynomial decay, warm-up, iterations.
RECIPES = {
    ('topformer', 'SimpleHead'): (1.2e-4, 0.01, None, 10, 1.0, 1500, 160000),
    ('topformer-tiny', 'SimpleHead'): (3e-4, 0.01, None, 10, 1.0, 1500, 160000),
    ('crossformer', 'FPNHead'): (1e-4, 1e-4, None, 1, 0.9, 0, 80000),
    ('crossformer', 'UPerHead'): (6e-5, 0.01, is_named_norm, 1, 1.0, 1500, 160000),
    ('smt', 'UPerHead'): (6e-5, 0.01, None, 1, 1.0, 1500, 160000),
    ('restormerencoder', 'FPNHead'): (1e-4, 1e-4, None, 1, 0.9, 0, 80000),  # ours
}
ON_ADE20K = pytest.mark.parametrize(
    'path', [path for path in SEGMENTORS if 'ade20k' in path.stem], ids=lambda path: path.stem)


@ON_ADE20K
def test_the_recipe_is_the_papers(path, miniature):
    cfg = reduced(path, miniature)
    family, head = NAME.match(path.stem)['model'], cfg.model.decode_head.type.split('.')[-1]
    recipe = RECIPES.get((family, head)) or RECIPES[family.split('-')[0], head]
    rate, decay, exempt, head_rate, power, warm_up, iterations = recipe
    for name, (lr, weight_decay) in trained_parameters(cfg).items():
        assert lr == pytest.approx(rate * (head_rate if name.startswith('decode_head') else 1)), name
        assert weight_decay == (0 if exempt and exempt(name) else decay), name
    *warming, decaying = cfg.param_scheduler
    assert (decaying.type, decaying.power, decaying.eta_min, decaying.begin, decaying.end) == (
        'PolyLR', power, 0, warm_up, iterations)
    assert [(step.type, step.start_factor, step.end) for step in warming] == [('LinearLR', 1e-6, 1500)] * bool(warm_up)
    model = Config.fromfile(path).model
    assert model.backbone.get('drop_path_rate', 0.1) == DROP_PATH[family]
    assert tuple(cfg.optim_wrapper.optimizer.betas) == (0.9, 0.999)
    assert_imagenet_preprocessing(model.data_preprocessor)
    assert model.data_preprocessor.seg_pad_val == 255
    assert model.decode_head.loss_decode == dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)
    assert model.decode_head.dropout_ratio == 0.1 and not model.decode_head.align_corners
    assert ('auxiliary_head' in model) == (head == 'UPerHead')
    if head == 'UPerHead':
        assert (model.auxiliary_head.loss_decode.loss_weight, model.auxiliary_head.in_index) == (0.4, 2)


@ON_ADE20K
def test_images_are_scaled_as_the_papers_do(path):
    cfg = Config.fromfile(path)
    nominal = (2048, cfg.crop_size[0])
    steps = {step.type: step for step in cfg.train_pipeline}
    assert list(steps) == ['LoadImageFromFile', 'LoadAnnotations', 'RandomResize', 'RandomCrop', 'RandomFlip',
                           'PhotoMetricDistortion', 'PackSegInputs']
    assert steps['RandomFlip'].prob == 0.5 and steps['LoadAnnotations'].get('reduce_zero_label') is None
    assert DATASETS.build(dict(cfg.train_dataloader.dataset, lazy_init=True)).reduce_zero_label
    resize, crop = steps['RandomResize'], steps['RandomCrop']
    assert (resize.scale, resize.ratio_range, resize.keep_ratio) == (nominal, (0.5, 2.0), True)
    assert (crop.crop_size, crop.cat_max_ratio) == (cfg.crop_size, 0.75)
    assert next(step for step in cfg.test_pipeline if step.type == 'Resize').scale == nominal
    rounded = [step.size_divisor for step in cfg.test_pipeline if step.type == 'ResizeToMultiple']
    assert rounded == ([] if path.stem.startswith('smt') else [32])
    assert cfg.test_dataloader.dataset.pipeline == cfg.test_pipeline
    scales, flips, *rest = cfg.tta_pipeline[-1].transforms
    assert [step.scale for step in scales] == [tuple(int(side * ratio) for side in nominal)
                                               for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)]
    assert [step.prob for step in flips] == [0.0, 1.0]
    assert [step.size_divisor for step, in rest if step.type == 'ResizeToMultiple'] == rounded


def test_the_published_tiny_head_is_depthwise():
    depthwise = {path.stem: Config.fromfile(path).model.decode_head.get('depthwise', False) for path in SEGMENTORS}
    assert {name for name, value in depthwise.items() if value} == {
        path.stem for path in SEGMENTORS if path.stem.startswith('topformer-tiny')}
