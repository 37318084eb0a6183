"""What a config has wrong is one line: the key, its value, and the nearest right one."""
import argparse

import pytest
import torch
from helpers.reduced import CONFIGS, ROOT
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATA_SAMPLERS, DATASETS, HOOKS, METRICS, MODELS, PARAM_SCHEDULERS, VISUALIZERS

from mmvisattn.cli.arguments import argument_parser, load_config, read_config
from mmvisattn.cli.checks import check_data, check_keys, check_model, check_settings
from mmvisattn.cli.misuse import check_open_arguments, config_errors
from mmvisattn.cli.options import merge_options
from mmvisattn.cli.usage import UsageError, check_figure, check_folder, nearest

pytest.importorskip('mmseg')
CONFIG = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'
DETECTOR = ROOT / 'configs/topformer/topformer-tiny_fcos_1xb8-40e_miniature-coco.py'


def changed(key: str, value: object, config=CONFIG) -> Config:
    """A config in which one key is another."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict({key: value})
    return cfg


def build(cfg: Config, part: str) -> None:
    """Build a part of a config as a Runner does."""
    scope = dict(_scope_=cfg.default_scope)
    if part == 'model':
        MODELS.build(dict(cfg.model, **scope)).init_weights()
    elif part == 'train_dataloader':
        dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, **scope, lazy_init=True))
        DATA_SAMPLERS.build(cfg.train_dataloader.sampler, default_args=dict(dataset=dataset, seed=0))
    elif part == 'optim_wrapper':
        build_optim_wrapper(torch.nn.Linear(1, 1), cfg.optim_wrapper)
    elif part == 'param_scheduler':
        optimizer = torch.optim.SGD([torch.zeros(1)], 1)
        for scheduler in cfg.param_scheduler:
            PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer))
    elif part == 'default_hooks':
        for hook in cfg.default_hooks.values():
            HOOKS.build(hook)
    elif part == 'visualizer':
        VISUALIZERS.build(dict(cfg.visualizer, **scope))
    else:
        METRICS.build(dict(cfg.val_evaluator, **scope))


LOSS = 'model.decode_head.loss_decode'
PIPELINE = 'train_dataloader.dataset.pipeline'


@pytest.mark.parametrize('key, value, right', [
    ('model.backbone.type', 'mmvisattn.TopFromer', '; did you mean mmvisattn.TopFormer?'),
    ('model.backbone.type', 'TopFormer', '; did you mean mmvisattn.TopFormer?'),
    ('model.backbone.type', 'mmvisatn.topformer', '; did you mean mmvisattn.TopFormer?'),
    ('model.backbone.archh', 'tiny', '; did you mean arch?'),
    ('model.backbone.arch', 'tinny', "(did you mean 'tiny'?)"),
    ('model.backbone.arch', 5, "one of ['base', 'small', 'tiny']"),
    ('model.backbone.out_indices', 3, 'such as [3]'),
    ('model.backbone.norm_cfg.type', 'BNN', '; did you mean BN?'),
    ('model.backbone.init_cfg', dict(type='mmvisattn.OfficalPretrained'), 'mmvisattn.OfficialPretrained?'),
    ('model.neck.type', 'mmvisattn.SematicInjection', '; did you mean mmvisattn.SemanticInjection?'),
    ('model.neck.out_chanels', 64, '; did you mean out_channels?'),
    ('model.neck', dict(_delete_=True, in_channels=[3]), 'has no type'),
    ('model.decode_head.type', 'mmvisattn.SimpelHead', '; did you mean mmvisattn.SimpleHead?'),
    ('model.decode_head.chanels', 64, 'SimpleHead takes no such argument; did you mean channels?'),
    ('model.decode_head.norm_cfg.type', 'BNN', '; did you mean BN?'),
    (f'{LOSS}.type', 'CrossEntropyLos', '; did you mean CrossEntropyLoss?'),
    (f'{LOSS}.loss_wieght', 2, '; did you mean loss_weight?'),
    ('model.type', 'EncodeDecoder', '; did you mean EncoderDecoder?'),
    ('train_dataloader.dataset.type', 'mmvisattn.MiniatureDatset', '; did you mean mmvisattn.MiniatureDataset?'),
    ('train_dataloader.dataset.pipline', [], 'MiniatureDataset takes no such argument; did you mean pipeline?'),
    (f'{PIPELINE}.0.type', 'LoadImageFromFil', '; did you mean LoadImageFromFile?'),
    (f'{PIPELINE}.1.reduce_zero_lable', True, '; did you mean reduce_zero_label?'),
    ('train_dataloader.sampler.type', 'InfiniteSampelr', '; did you mean InfiniteSampler?'),
    ('optim_wrapper.type', 'OptimWraper', '; did you mean OptimWrapper?'),
    ('optim_wrapper.optimizer.type', 'AdmW', '; did you mean AdamW?'),
    ('optim_wrapper.optimizer.weigth_decay', 1, '; did you mean weight_decay?'),
    ('optim_wrapper.constructor', 'mmvisattn.LayerDecayOptimWraperConstructor',
     '; did you mean mmvisattn.LayerDecayOptimWrapperConstructor?'),
    ('param_scheduler.0.type', 'LinearLRR', '; did you mean LinearLR?'),
    ('param_scheduler.1.etamin', 1, 'PolyLR takes no such argument; did you mean eta_min?'),
    ('default_hooks.checkpoint.type', 'CheckpointHok', '; did you mean CheckpointHook?'),
    ('visualizer.type', 'SegLocalVisualiser', '; did you mean SegLocalVisualizer?'),
    ('val_evaluator.type', 'IoUMetrc', '; did you mean IoUMetric?'),
], ids=str)
def test_a_typing_error_is_one_line(key, value, right):
    cfg = changed(key, value)
    with pytest.raises(UsageError) as caught, config_errors(cfg):
        build(cfg, key.split('.')[0])
    line = str(caught.value)
    shown = '=' if isinstance(value, dict) else f'={value!r}'
    assert key in line and shown in line and right in line and '\n' not in line, line


@pytest.mark.parametrize('key, value, right', [
    ('model.bbox_head.type', 'FCOSHed', '; did you mean FCOSHead?'),
    ('model.bbox_head.num_clases', 8, '; did you mean num_classes?'),
    ('model.bbox_head.loss_bbox.type', 'IoULos', '; did you mean IoULoss?'),
], ids=str)
def test_a_typing_error_of_a_detector_is_one_line(key, value, right):
    pytest.importorskip('mmdet')
    cfg = changed(key, value, DETECTOR)
    with pytest.raises(UsageError) as caught, config_errors(cfg):
        build(cfg, 'model')
    assert f'{key}={value!r}' in str(caught.value) and right in str(caught.value)


@pytest.mark.parametrize('key, value, words', [
    ('optim_wrapper.optimizer.lr', -1, 'optim_wrapper.optimizer (AdamW) fails: ValueError: Invalid learning rate: -1'),
    ('model.decode_head.in_index', 9, 'SimpleHead) fails: AssertionError: assert isinstance(in_index'),
    ('model.backbone.init_cfg', dict(type='mmvisattn.OfficialPretrained', checkpoint='nothing.pth'), 'nothing.pth'),
], ids=str)
def test_wrong_values_are_told_with_their_place(key, value, words):
    cfg = changed(key, value)
    with pytest.raises(UsageError) as caught, config_errors(cfg):
        build(cfg, key.split('.')[0])
    assert words in str(caught.value) and '--debug' in str(caught.value)


def test_what_goes_wrong_elsewhere_passes():
    with pytest.raises(TypeError, match='an error of the training'), config_errors(Config()):
        raise TypeError('an error of the training')


@pytest.mark.parametrize('key, value, words', [
    ('default_hooks.checkpoint.intervall', 2, 'CheckpointHook takes no such argument; did you mean interval?'),
    ('val_evaluator.iou_metric', 'mIoU', 'IoUMetric takes no such argument; did you mean iou_metrics?'),
])
def test_arguments_that_a_class_swallows_are_told(key, value, words):
    with pytest.raises(UsageError, match=key) as caught:
        check_open_arguments(changed(key, value))
    assert words in str(caught.value)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_raise_no_alarm(path):
    cfg = read_config(path)
    check_keys(cfg, path, 'model', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'test_dataloader', 'test_evaluator')
    check_settings(cfg)
    check_open_arguments(cfg)


@pytest.mark.parametrize('text, words', [
    ('data_root', '--cfg-options data_root: KEY=VALUE is needed'),
    ('=5', 'KEY=VALUE is needed'),
    ('a=[(1,2]', '--cfg-options a=[(1,2]: Imbalanced brackets'),
    ('data_root=5', 'data_root=5 is no path; the folder of that name is ./5'),
    ('data_root=None', 'data_root=None is no path'),
    ('max_iters=10', 'the config has no max_iters, and nothing would read it; did you mean train_cfg.max_iters?'),
    ('modle.backbone.arch=tiny', 'the config has no modle, and nothing would read it; did you mean model.backbone.arch?'),
    ('model.backbone.arch.x=1', "model.backbone.arch is 'tiny', which has no x"),
    (f'{PIPELINE}.99.type=x', f'{PIPELINE} has the elements 0 to'),
    ('train_dataloader.batchsize=4', 'did you mean train_dataloader.batch_size?'),
    ('default_hooks.checkpiont.interval=1', 'did you mean default_hooks.checkpoint?'),
    ('train_pipeline.0.x=1', f'nothing reads train_pipeline itself, whose content stands elsewhere; set {PIPELINE}.0.x'),
    ('train_cfg.max_iters=-1', 'train_cfg.max_iters=-1 must be a whole number, at least 1'),
    ('train_cfg.max_iters=many', "train_cfg.max_iters='many' must be"),
    ('train_cfg.max_epochs=0', 'train_cfg.max_epochs=0 must be'),
    ('resume=maybe', "resume='maybe' must be True or False"),
    ('optim_wrapper.optimizer.lr=abc', "optim_wrapper.optimizer.lr='abc' must be a number, at least 0"),
    ('optim_wrapper.optimizer.lr=-1', 'optim_wrapper.optimizer.lr=-1 must be'),
    ('log_level=INFOO', "log_level='INFOO' must be one of CRITICAL, ERROR"),
    ('train_cfg.val_interval=0', 'train_cfg.val_interval=0 must be'),
    ('train_dataloader.batch_size=0', 'train_dataloader.batch_size=0 must be'),
    ('train_dataloader.batch_size=1.5', 'train_dataloader.batch_size=1.5 must be'),
    ('val_dataloader.num_workers=-1', 'val_dataloader.num_workers=-1 must be a whole number, at least 0'),
], ids=str)
def test_wrong_options_are_one_line(text, words):
    parser = argument_parser('')
    with pytest.raises(UsageError) as caught:
        load_config(parser.parse_args([str(CONFIG), '--cfg-options', text]))
    assert words in str(caught.value)


@pytest.mark.parametrize('key', [
    'randomness.seed', 'model.backbone.with_cp', 'model.backbone.init_cfg.checkpoint', 'find_unused_parameters',
    'custom_hooks', 'auto_scale_lr.enable', 'env_cfg.dist_cfg.timeout', 'model.test_cfg.stride', 'model_wrapper_cfg.type',
    'optim_wrapper.clip_grad.max_norm', 'optim_wrapper.accumulative_counts', 'train_dataloader.pin_memory',
    'train_dataloader.drop_last', 'default_hooks.checkpoint.max_keep_ckpts', 'default_hooks.visualization.type',
    'optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult', 'val_evaluator.prefix', 'compile.backend', 'load_from',
    f'{PIPELINE}.0.imdecode_backend'])
def test_keys_that_a_config_does_not_state_may_be_added(key):
    cfg = Config.fromfile(CONFIG)
    merge_options(cfg, {key: 1})
    assert cfg.get(key.split('.')[0]) is not None


@pytest.mark.parametrize('content', [
    'cfg = dict(a=1)', "custom_hook = dict(type='EmptyCacheHook')\ncustom_hooks = [custom_hook]",
    "eval_cfg = dict(type='ValLoop')\nval_cfg = eval_cfg", "models = ['a']"])
def test_variables_of_a_config_raise_no_alarm(content, tmp_path):
    (tmp_path / 'mine.py').write_text(f'_base_ = {str(CONFIG)!r}\n{content}\n')
    check_settings(read_config(tmp_path / 'mine.py'))


def test_classes_in_a_file_and_heads_with_classes_of_their_own_raise_no_alarm(tmp_path):
    (tmp_path / 'classes.txt').write_text('\n'.join('abcdefghij'))
    cfg = changed('train_dataloader.dataset.metainfo', dict(classes=str(tmp_path / 'classes.txt')))
    cfg.model.auxiliary_head = dict(type='STDCHead', num_classes=2, in_channels=16, in_index=0)
    check_model(cfg)


def test_data_on_another_machine_are_not_looked_for():
    cfg = changed('data_root', None)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.data_root = 's3://bucket/data'
    check_data(cfg, 'train_dataloader', 'val_dataloader')


@pytest.mark.parametrize('content, words', [
    (f'_base_ = {str(CONFIG)!r}\ntrain_cfg = dict(_delete_=True, max_iters=0)', 'train_cfg.max_iters=0 must be'),
    (f"_base_ = {str(CONFIG)!r}\nload_from = 'segmentation'", "load_from='segmentation': there is no such checkpoint"),
    ('x = 1', 'wrong.py has no model'),
    ("modle = dict(type='X')", 'has no model; did you mean model where it has modle?'),
    ('model = 5', 'has model=5, which is no dict'),
    ('model = dict(', 'cannot be read: '),
    (f'_base_ = {str(CONFIG)!r}\ndefualt_hooks = dict()', 'the config has defualt_hooks, and nothing would read it; did you '
                                                          'mean default_hooks?'),
])
def test_wrong_config_files_are_one_line(content, words, tmp_path):
    (tmp_path / 'wrong.py').write_text(content)
    with pytest.raises(UsageError) as caught:
        load_config(argparse.Namespace(config=tmp_path / 'wrong.py', work_dir=None, cfg_options={}, launcher='none',
                                       local_rank=0))
    assert words in str(caught.value) and '\n' not in str(caught.value)


def test_a_path_in_place_of_an_initialization_is_told():
    cfg = changed('model.backbone.init_cfg', 'foo.pth')
    with pytest.raises(UsageError, match="init_cfg='foo.pth' must be a dict, such as .*Pretrained"), config_errors(cfg):
        build(cfg, 'model')


def test_an_initialization_without_a_type_is_told():
    cfg = changed('model.backbone.init_cfg', dict(checkpoint='foo.pth'))
    with pytest.raises(UsageError, match="init_cfg=.*foo.pth.* has no type, such as .*Pretrained"), config_errors(cfg):
        build(cfg, 'model')


def test_maps_that_a_backbone_has_not_are_told():
    with pytest.raises(UsageError, match='decode_head has in_index=9, but mmvisattn.SMT has the maps 0 to 3'):
        check_model(changed('model', dict(backbone=dict(type='mmvisattn.SMT'), neck=None, decode_head=dict(
            _delete_=True, in_channels=1, in_index=9))))


def test_outputs_that_cannot_be_written_are_told(tmp_path):
    (tmp_path / 'file').touch()
    for path, words in (('', 'is a folder'), ('x', 'no suffix'), ('x.pgn', r'suffix \.pgn.*did you mean png'),
                        ('file/x.png', 'file is a file')):
        with pytest.raises(UsageError, match=words):
            check_figure('--out', tmp_path / path)
    check_figure('--out', tmp_path / 'new' / 'x.png')
    with pytest.raises(UsageError, match='--work-dir .*is a file'):
        check_folder('--work-dir', tmp_path / 'file' / 'x')


def test_the_nearest_name():
    assert nearest('topformer', ['TopFormer', 'SMT']) == 'TopFormer' and nearest('x', ['TopFormer']) is None
