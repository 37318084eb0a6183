_base_ = [
    '../_base_/models/simple-head.py', '../_base_/datasets/miniature_96x96.py',
    '../_base_/schedules/from_scratch_2500.py', '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=(96, 96)),
    backbone=dict(arch='tiny'),
    neck=dict(in_channels=[16, 32, 64, 96], out_channels=128),
    decode_head=dict(in_channels=[128, 128, 128], channels=128, depthwise=True, num_classes=10))
optim_wrapper = dict(optimizer=dict(lr=4e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=50, end=850),
]
train_cfg = dict(max_iters=850, val_interval=425)
default_hooks = dict(checkpoint=dict(interval=425))
# 1 process x 16 images.
auto_scale_lr = dict(base_batch_size=16)
