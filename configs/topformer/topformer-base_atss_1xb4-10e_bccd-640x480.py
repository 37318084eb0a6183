# Blood cells from scratch, on two CPU cores.
_base_ = [
    '../_base_/models/atss.py', '../_base_/datasets/bccd_640x480.py', '../_base_/schedules/adamw_12e.py',
    '../_base_/detection_runtime.py'
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(type='mmvisattn.TopFormer', arch='base', out_indices=(1, 2, 3), norm_cfg=norm_cfg),
    neck=dict(in_channels=[64, 128, 160], out_channels=96, start_level=0, num_outs=4, norm_cfg=norm_cfg),
    bbox_head=dict(
        num_classes=3, in_channels=96, feat_channels=96, stacked_convs=2,
        anchor_generator=dict(strides=[8, 16, 32, 64]), norm_cfg=norm_cfg))
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.01), paramwise_cfg=dict(norm_decay_mult=0.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=10, val_interval=5)
default_hooks = dict(checkpoint=dict(interval=5))
# 1 process x 4 images.
auto_scale_lr = dict(base_batch_size=4)
