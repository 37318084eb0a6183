# The try-out: a small detector from scratch in a few minutes on two CPU cores.
_base_ = [
    '../_base_/models/fcos.py', '../_base_/datasets/miniature-coco.py', '../_base_/schedules/adamw_12e.py',
    '../_base_/detection_runtime.py'
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(type='mmvisattn.TopFormer', arch='tiny', out_indices=(1, 2, 3), norm_cfg=norm_cfg),
    neck=dict(in_channels=[32, 64, 96], out_channels=64, start_level=0, num_outs=3, norm_cfg=norm_cfg),
    bbox_head=dict(
        num_classes=8, in_channels=64, feat_channels=64, stacked_convs=2, strides=[8, 16, 32],
        regress_ranges=((-1, 48), (48, 96), (96, 1e8))))
train_dataloader = dict(batch_size=16)
optim_wrapper = dict(optimizer=dict(lr=2e-3, weight_decay=0.01))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=True, begin=0, end=40, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=40, val_interval=10)
default_hooks = dict(checkpoint=dict(interval=10), logger=dict(interval=10))
# 1 process x 16 images.
auto_scale_lr = dict(base_batch_size=16)
