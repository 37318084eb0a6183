"""Every config builds, trains a step and predicts; names say what is in them; the model index lists them."""
import re

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, DefaultScope, init_default_scope
from reduced import CONFIGS, DETECTORS, RESTORERS, ROOT, SEGMENTORS, reduced
from torch import nn

pytest.importorskip('mmseg')
NAME = re.compile(r'(?P<model>[a-z]+-[a-z-]+?)(?P<group>-g\d+)?_(?P<head>[a-z-]+)'
                  r'_(?P<gpus>\d+)xb(?P<batch>\d+)-(?P<schedule>\d+k?)'
                  r'_(?P<data>[a-z0-9]+)-(?P<width>\d+)x(?P<height>\d+)$')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')
    yield
    DefaultScope._instance_dict.clear()


def test_how_many_there_are():
    assert (len(SEGMENTORS), len(DETECTORS), len(RESTORERS)) == (39, 47, 8)
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
    assert (cfg.model.backbone.get('group_size') is not None) == bool(name['group'])
    assert name['model'] == f"{cfg.model.backbone.type.split('.')[-1].lower()}-{arch}"


@pytest.mark.parametrize('path', SEGMENTORS, ids=lambda path: path.stem)
def test_trains_a_step_and_predicts(path, miniature):
    cfg = reduced(path, miniature)
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


# By head, for configs on ADE20K: learning rate, weight decay, that of norms, the head's rate over the backbone's,
# power of the polynomial decay.
RECIPES = {
    'SimpleHead': (1.2e-4, 0.01, 0, 10, 1.0), 'FPNHead': (1e-4, 1e-4, 1e-4, 1, 0.9), 'UPerHead': (6e-5, 0.01, 0, 1, 1.0)}


@pytest.mark.parametrize('path', [path for path in SEGMENTORS if 'ade20k-512' in path.stem], ids=lambda path: path.stem)
def test_the_recipe_is_the_papers(path, miniature):
    cfg = reduced(path, miniature)
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    groups = {id(p): group for group in wrapper.param_groups for p in group['params']}
    linear, norm = (next(p for m in model.backbone.modules() if isinstance(m, kinds) for p in m.parameters())
                    for kinds in ((nn.Linear, nn.Conv2d), (nn.LayerNorm, nn.BatchNorm2d)))
    body, head = groups[id(linear)], groups[id(model.decode_head.conv_seg.weight)]
    recipe = (body['lr'], body['weight_decay'], groups[id(norm)]['weight_decay'], head['lr'] / body['lr'],
              cfg.param_scheduler[-1].power)
    assert recipe == pytest.approx(RECIPES[cfg.model.decode_head.type.split('.')[-1]])
    assert isinstance(wrapper.optimizer, torch.optim.AdamW)


def test_the_model_index_lists_the_published_configs():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    listed = [model for path in index['Import'] for model in yaml.safe_load((ROOT / path).read_text())['Models']]
    own = ('camvid', 'miniature', 'bsds', 'bccd')  # which nobody publishes figures of
    assert {ROOT / model['Config'] for model in listed} == {
        path for path in CONFIGS if not any(data in path.stem for data in own)}
    assert all(model['Weights'] and model['Name'] == (ROOT / model['Config']).stem for model in listed)
