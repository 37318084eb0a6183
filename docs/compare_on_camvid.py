#!/usr/bin/env python3
"""The comparison of backbones in docs/benchmarks.md.

    docs/compare_on_camvid.py DATA_ROOT WORK_DIR [--models NAME ...] [--seeds N]

Trains segmentors from scratch on CamVid, one after the other, with one recipe: the same crops, iterations, optimizer and
rate, and one head (Semantic FPN with 64 channels; TopFormer has its own), with one thread. What is finished is not trained
again.
"""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECIPE = """
_base_ = {bases}
crop_size = (160, 192)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(480, 360), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=100, end=800),
]
train_cfg = dict(max_iters=800, val_interval=800)
default_hooks = dict(checkpoint=dict(interval=800))
model = dict(data_preprocessor=dict(size=crop_size){model})
"""
SIMPLE = ['topformer/topformer-tiny_simple-head_1xb8-2500_camvid-320x240.py']
FPN = ['_base_/models/semantic-fpn.py', '_base_/datasets/camvid_320x240.py', '_base_/schedules/from_scratch_2500.py',
       '_base_/default_runtime.py']


def with_fpn(backbone: str, channels: list[int]) -> tuple[list[str], str]:
    return FPN, (f', backbone=dict({backbone}), neck=dict(in_channels={channels}, out_channels=64), '
                 'decode_head=dict(in_channels=[64] * 4, channels=64, num_classes=11)')


MODELS = {
    'crossformer-tiny': with_fpn("type='mmvisattn.CrossFormer', arch='tiny', drop_path_rate=0.0", [64, 128, 256, 512]),
    'smt-tiny': with_fpn("type='mmvisattn.SMT', arch='tiny', drop_path_rate=0.0", [64, 128, 256, 512]),
    'swin-tiny': with_fpn("type='SwinTransformer', embed_dims=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], "
                          'window_size=7, drop_path_rate=0.0', [96, 192, 384, 768]),
    'resnet-50': with_fpn("type='ResNetV1c', depth=50, norm_cfg=dict(type='SyncBN')", [256, 512, 1024, 2048]),
    'mit-b0': with_fpn("type='MixVisionTransformer', embed_dims=32, num_layers=[2, 2, 2, 2], num_heads=[1, 2, 5, 8]",
                       [32, 64, 160, 256]),
    'mobilenetv2': with_fpn("type='MobileNetV2', out_indices=(1, 2, 4, 6), norm_cfg=dict(type='SyncBN')", [24, 32, 96, 320]),
    'topformer-tiny': (SIMPLE, ''),
    'topformer-base': (SIMPLE, ", backbone=dict(arch='base'), neck=dict(in_channels=[32, 64, 128, 160], out_channels=256), "
                               'decode_head=dict(in_channels=[256, 256, 256], channels=256)'),
}


def score(folder: Path) -> str:
    """Mean and deviation of the mean IoU over the seeds, and that of each seed, in percent."""
    content = json.loads((folder / 'seeds.json').read_text())
    each = ', '.join(f'{best:.1f}' for best in content['best'].values())
    return f"{content['mean']:.1f} ± {content['deviation']:.1f} | {each}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data_root', type=Path)
    parser.add_argument('work_dir', type=Path)
    parser.add_argument('--models', nargs='+', default=list(MODELS), choices=MODELS)
    parser.add_argument('--seeds', type=int, default=3, help='trainings of each model')
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error(f'--seeds {args.seeds}: must be at least 1')
    if args.work_dir.exists() and not args.work_dir.is_dir():
        parser.error(f'{args.work_dir} is no folder')
    args.work_dir.mkdir(parents=True, exist_ok=True)
    for name in args.models:
        folder = args.work_dir / name
        bases, model = MODELS[name]
        config = args.work_dir / f'{name}.py'
        config.write_text(RECIPE.format(bases=[str(ROOT / 'configs' / base) for base in bases], model=model))
        status = subprocess.run([
            sys.executable, ROOT / 'tools' / 'train.py', config, '--work-dir', folder, '--resume',
            '--seeds', str(args.seeds), '--cfg-options', f'data_root={args.data_root.resolve()}'],
            env=dict(os.environ, OMP_NUM_THREADS='1'), check=False).returncode
        if status:
            sys.exit(status)  # the tool has said why
        print(f'| `{name}` | {score(folder)} |', flush=True)


if __name__ == '__main__':
    main()
