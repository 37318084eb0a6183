"""Our backbones and necks in mmdet's detectors: any neck, mixed sizes, an existing project."""
import json
import math
from pathlib import Path

import pytest
import torch
from helpers.cases import BACKBONES
from helpers.reduced import ROOT
from mmcv.ops import RoIAlign
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData

mmdet = pytest.importorskip('mmdet')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def detector(backbone, neck):
    """mmdet's RetinaNet with a backbone and a neck that returns four levels of 32 channels."""
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/retinanet.py').model
    cfg.update(backbone=backbone, neck=neck)
    cfg.bbox_head.update(in_channels=32, feat_channels=32, stacked_convs=1, num_classes=4)
    cfg.bbox_head.anchor_generator.strides = [4, 8, 16, 32]
    return MODELS.build(cfg)


def batch_of(*sizes):
    from mmdet.structures import DetDataSample
    samples = []
    for height, width in sizes:
        sample = DetDataSample(metainfo=dict(
            img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0), img_id=0))
        sample.gt_instances = InstanceData(bboxes=torch.tensor([[2.0, 3.0, 40.0, 50.0]]), labels=torch.tensor([1]))
        samples.append(sample)
    return dict(inputs=[torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes], data_samples=samples)


def necks(case):
    """Each neck that makes four maps of 32 channels from the backbone's first four maps."""
    channels = list(case.channels[:4])
    fpn = dict(type='FPN', in_channels=channels, out_channels=32, num_outs=4)
    injection = dict(type='mmvisattn.SemanticInjection', in_channels=channels, out_channels=32)
    if case.type != 'TopFormer':
        injection['semantics_extractor'] = dict(num_heads=2)
    refining = dict(type='mmvisattn.MDTANeck', in_channels=channels)
    return {'fpn': fpn, 'injection': [injection, dict(type='FPN', in_channels=[32] * 3, out_channels=32, num_outs=4)],
            'mdta': [refining, fpn]}


@pytest.mark.parametrize('neck', ['fpn', 'injection', 'mdta'])
@pytest.mark.parametrize('case', BACKBONES.values(), ids=BACKBONES)
def test_every_backbone_and_neck_trains_a_detector(case, neck):
    backbone = dict(type=f'mmvisattn.{case.type}', **case.tiny)
    if case.type == 'TopFormer' and neck != 'injection':
        backbone['out_indices'] = (0, 1, 2, 3)
    model = detector(backbone, necks(case)[neck]).train()
    data = model.data_preprocessor(batch_of((60, 90), (64, 50)), True)
    losses = model.parse_losses(model(**data, mode='loss'))[0]
    losses.backward()
    assert losses.isfinite()
    assert next(p for p in model.backbone.parameters() if p.dim() > 1).grad.abs().sum() > 0


@pytest.mark.parametrize('neck', ['none', 'injection', 'mdta'])
@pytest.mark.parametrize('case', BACKBONES.values(), ids=BACKBONES)
def test_regions_are_pooled_from_the_maps_themselves(case, neck):
    """mmcv's RoIAlign pools wrong values from other memory formats. A whole map pooled pixel by pixel must be that map."""
    backbone = MODELS.build(dict(type=f'mmvisattn.{case.type}', **case.tiny)).eval()
    maps = backbone(torch.randn(1, 3, 64, 96))
    if neck != 'none':
        maps = MODELS.build(necks(case)[neck][0]).eval()(maps[:len(maps) if neck == 'injection' else 4])
    for x in maps:
        height, width = x.shape[-2:]
        pooled = RoIAlign((height, width), sampling_ratio=1)(x, torch.tensor([[0.0, 0.0, 0.0, width, height]]))
        torch.testing.assert_close(pooled, x)


@pytest.mark.parametrize('sizes', [[(800, 1333)], [(1333, 800)], [(800, 1333), (1333, 800)], [(37, 500), (64, 64)]], ids=str)
def test_the_backbone_sees_the_whole_batch_and_nothing_else(sizes):
    """Padded at the bottom and right to a common multiple of 32, not cropped and not resized."""
    case = BACKBONES['TopFormer']
    model = detector(dict(type='mmvisattn.TopFormer', out_indices=(0, 1, 2, 3), **case.tiny), necks(case)['fpn']).eval()
    seen = []
    model.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    batch = batch_of(*sizes)
    images = [image.clone() for image in batch['inputs']]
    with torch.inference_mode():
        results = model.test_step(batch)
    expected = [math.ceil(max(side) / 32) * 32 for side in zip(*sizes)]
    assert list(seen[0].shape) == [len(sizes), 3, *expected]
    mean, std = (getattr(model.data_preprocessor, name).flatten()[:, None, None] for name in ('mean', 'std'))
    for image, (height, width), row, result in zip(images, sizes, seen[0], results):
        torch.testing.assert_close(row[:, :height, :width], (image.flip(0).float() - mean) / std)
        assert not row[:, height:].any() and not row[:, :, width:].any()
        boxes = result.pred_instances.bboxes
        assert (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()


def test_augmented_tests_merge_scales_and_flips():
    case = BACKBONES['TopFormer']
    model = detector(dict(type='mmvisattn.TopFormer', out_indices=(0, 1, 2, 3), **case.tiny), necks(case)['fpn'])
    augmented = MODELS.build(dict(
        type='DetTTAModel', module=model,
        tta_cfg=ConfigDict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=7))).eval()
    batches = [batch_of(size) for size in ((60, 90), (120, 180))]
    for batch, factor, flip in zip(batches, (1.0, 2.0), (False, True)):
        batch['data_samples'][0].set_metainfo(dict(
            ori_shape=(60, 90), scale_factor=(factor, factor), flip=flip, flip_direction='horizontal' if flip else None))
    with torch.inference_mode():
        result, = augmented.test_step(dict(
            inputs=[batch['inputs'] for batch in batches], data_samples=[batch['data_samples'] for batch in batches]))
    boxes = result.pred_instances.bboxes
    assert len(boxes) <= 7 and (boxes[:, 2] <= 90).all() and (boxes[:, 3] <= 60).all()


PROJECT = '''
_base_ = [{folder}/_base_/models/retinanet_r50_fpn.py', {folder}/_base_/default_runtime.py']
model = dict(
    backbone=dict(_delete_=True, type='mmvisattn.SMT', arch=dict(
        embed_dims=32, depths=(1, 1, 2, 1), mlp_ratios=(2, 2, 2, 2), stem_kernel=3, pattern=('M', 'M', 'MA', 'A'),
        modulation_heads=(4, 4, 4, 4), attention_heads=(1, 2, 4, 8))),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=32),
    bbox_head=dict(num_classes=8, in_channels=32, feat_channels=32, stacked_convs=1))
classes = ('disc', 'square', 'triangle', 'cross', 'star', 'hexagon', 'leaf', 'gear')
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset', data_root={data!r}, ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'), metainfo=dict(classes=classes),
        pipeline=[
            dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
            dict(type='Resize', scale=(160, 128), keep_ratio=True), dict(type='PackDetInputs')]))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4))
default_hooks = dict(logger=dict(interval=1))
'''


def test_a_project_of_mmdets_own_trains_with_one_line_changed(miniature_coco, run_afresh, tmp_path):
    mim = Path(mmdet.__file__).parent / '.mim'
    (tmp_path / 'project.py').write_text(
        PROJECT.format(folder=f"'{mim}/configs", data=str(miniature_coco)))
    done = run_afresh(mim / 'tools' / 'train.py', 'project.py', '--work-dir', 'run')
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for path in (tmp_path / 'run').glob('*/vis_data/scalars.json')
               for line in path.read_text().splitlines()]
    assert len(records) == 3 and all(record['loss'] > 0 for record in records)
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()
