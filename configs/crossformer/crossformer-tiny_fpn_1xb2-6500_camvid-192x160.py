_base_ = [
    '../_base_/models/semantic-fpn.py', '../_base_/datasets/camvid_192x160.py',
    '../_base_/schedules/from_scratch_2500.py', '../_base_/default_runtime.py'
]
# frequency ** -0.5 of each class in the training images, scaled to a mean of 1 over their pixels.
class_weight = [0.88, 0.75, 3.63, 0.64, 1.7, 1.15, 3.32, 3.39, 1.49, 4.5, 6.66]
# The norms of the outputs, which no published dense model has, help training from scratch: docs/benchmarks.md.
model = dict(
    data_preprocessor=dict(size=(160, 192)),
    backbone=dict(type='mmvisattn.CrossFormer', arch='tiny', drop_path_rate=0.0, out_norm=True),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=64),
    decode_head=dict(
        in_channels=[64, 64, 64, 64], channels=64, num_classes=11,
        loss_decode=dict(_delete_=True, type='mmvisattn.WeightedCrossEntropy', class_weight=class_weight)))
# With the head's rate, the backbone is worse after 300 iterations than as it was initialized: docs/benchmarks.md.
optim_wrapper = dict(
    optimizer=dict(lr=1e-3, fused=True), paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.15))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=400),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=400, end=6500),
]
train_cfg = dict(max_iters=6500, val_interval=1625)
default_hooks = dict(checkpoint=dict(interval=1625))
# 1 process x 2 images.
auto_scale_lr = dict(base_batch_size=2)
