"""Adapting a config to the command line and to CPUs."""
import argparse
import inspect
import json
import sys
from pathlib import Path

import pytest
import torch
from helpers.reduced import ROOT
from mmengine.registry import MODELS

from mmvisattn.cli.arguments import load_config, load_weights
from mmvisattn.cli.checks import MADE_OF_OPERATORS, _categories, check_data, check_model, datasets_in
from mmvisattn.cli.usage import UsageError, end_clearly

CONFIG = ROOT / 'configs/topformer/topformer-tiny_simple-head_8xb2-160k_ade20k-512x512.py'


def loaded(config=CONFIG, **options):
    return load_config(argparse.Namespace(
        config=config, work_dir=None, cfg_options=options, launcher='none', local_rank=0))


def test_data_root_reaches_every_data_set():
    cfg = loaded(data_root='/elsewhere')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.data_root == '/elsewhere'


def test_data_root_reaches_data_sets_with_a_root_of_their_own(tmp_path):
    """As in the configs that the README shows."""
    config = tmp_path / 'mine.py'
    content = (f"_base_ = {str(CONFIG)!r}\ntrain_dataloader = dict(dataset=dict(data_root='mine'))\n"
               "val_dataloader = dict(dataset=dict(data_root='{}'))\ntest_dataloader = val_dataloader")
    config.write_text(content.format('mine'))
    cfg = loaded(config, data_root='/elsewhere')
    assert {dataset['data_root'] for _, dataset in datasets_in(cfg)} == {'/elsewhere'}
    config.write_text(content.format('other'))
    with pytest.raises(UsageError, match='roots mine, other'):
        loaded(config, data_root='/elsewhere')


def test_work_dir_is_named_after_the_config():
    assert loaded().work_dir == str(Path('work_dirs') / CONFIG.stem)


@pytest.mark.skipif(torch.cuda.is_available(), reason='on a GPU SyncBN stays')
def test_sync_bn_becomes_bn_without_a_gpu():
    cfg = loaded()
    assert cfg.model.backbone.norm_cfg.type == cfg.model.decode_head.norm_cfg.type == 'BN'


@pytest.mark.skipif(torch.cuda.is_available(), reason='tests the message without a GPU')
def test_launchers_that_need_gpus_say_so():
    with pytest.raises(UsageError, match='--launcher slurm'):
        load_config(argparse.Namespace(config=CONFIG, work_dir=None, cfg_options={}, launcher='slurm', local_rank=0))


def test_missing_parts_of_the_data_are_named(miniature, tmp_path):
    cfg = loaded(data_root=str(tmp_path))
    with pytest.raises(UsageError, match='train_dataloader.*images/training'):
        check_data(cfg, 'train_dataloader')
    check_data(loaded(data_root=str(miniature)), 'train_dataloader', 'val_dataloader')


@pytest.mark.parametrize('categories', [
    [dict(id=1, name='person', keypoints=['nose', 'eye'], skeleton=[[1, 2]])],
    [dict(id=1, name='a ] in the name'), dict(id=2, name='é' * 70000)]], ids=['keypoints', 'brackets'])
@pytest.mark.parametrize('behind', [{}, dict(annotations=[dict(bbox=[1, 2, 3, 4])] * 3000)], ids=['end', 'middle'])
def test_categories_are_read_as_json(categories, behind, tmp_path):
    (tmp_path / 'instances.json').write_text(json.dumps(dict(info={}, categories=categories, **behind), ensure_ascii=False))
    assert _categories(tmp_path / 'instances.json') == [category['name'] for category in categories]


def test_other_lists_called_categories_are_passed_over(tmp_path):
    content = dict(info=dict(categories=['x']), images=[dict(categories=[])], categories=[dict(id=1, name='cell')])
    (tmp_path / 'instances.json').write_text(json.dumps(content))
    assert _categories(tmp_path / 'instances.json') == ['cell']
    (tmp_path / 'empty.json').touch()
    with pytest.raises(UsageError, match='empty.json is empty'):
        _categories(tmp_path / 'empty.json')


def test_a_wrong_backbone_is_explained():
    with pytest.raises(UsageError, match=r'model\.backbone\.arch.*foo'):
        check_model(loaded(**{'model.backbone.arch': 'foo'}))


def test_broken_categories_are_named(tmp_path):
    (tmp_path / 'instances.json').write_text('{"categories": [{"id": 1, "name": "per')
    with pytest.raises(UsageError, match='instances.json'):
        _categories(tmp_path / 'instances.json')


def test_imagenet_weights_are_no_trained_model():
    from mmvisattn.models import SemanticInjection, TopFormer
    pytest.importorskip('mmseg')
    from helpers import golden
    model = torch.nn.Module()
    model.backbone, model.neck = TopFormer(), SemanticInjection()
    state = {k: v for k, v in golden.checkpoint(golden.read('topformer_t')).items() if not k.startswith('SIM')}
    with pytest.raises(UsageError, match='OfficialPretrained'):
        load_weights(model, state)
    assert MODELS.get('mmvisattn.TopFormer') is TopFormer


def test_parts_made_of_operators_are_those_that_mmcv_and_mmseg_register():
    pytest.importorskip('mmcv._ext')
    import mmcv.ops  # noqa: F401
    import mmseg.models  # noqa: F401
    from mmseg.registry import MODELS as SEGMENTATION_MODELS
    registered = {**MODELS.module_dict, **SEGMENTATION_MODELS.module_dict}
    sources = {name: inspect.getsource(sys.modules[part.__module__]) for name, part in registered.items()
               if part.__module__.startswith(('mmcv.ops.', 'mmseg.'))}
    found = {name for name, source in sources.items()
             if registered[name].__module__.startswith('mmcv.ops.') or 'from mmcv.ops import' in source}
    assert found - {'FocalLoss'} == MADE_OF_OPERATORS  # on CPUs, FocalLoss does without


def test_an_interruption_has_no_traceback(capsys):
    """Also where a library makes another error of it, as mmengine does while it writes a config."""
    def interrupted():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise SyntaxError('Failed to format the config file')  # noqa: B904

    with pytest.raises(SystemExit) as caught:
        end_clearly(interrupted)
    assert caught.value.code == 130 and capsys.readouterr().err == 'interrupted\n'
