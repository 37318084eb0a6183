_base_ = [
    '../_base_/models/semantic-fpn.py', '../_base_/datasets/camvid_320x240.py',
    '../_base_/schedules/from_scratch_2500.py', '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=(240, 320)),
    backbone=dict(type='mmvisattn.CrossFormer', arch='tiny', drop_path_rate=0.0),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=64),
    decode_head=dict(in_channels=[64, 64, 64, 64], channels=64, num_classes=11))
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=100, end=1200),
]
train_cfg = dict(max_iters=1200, val_interval=400)
default_hooks = dict(checkpoint=dict(interval=400))
# 1 process x 4 images.
auto_scale_lr = dict(base_batch_size=4)
