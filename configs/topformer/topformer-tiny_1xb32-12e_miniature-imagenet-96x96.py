# For a first try: a small classifier from scratch, in 7 minutes of processor time.
_base_ = [
    '../_base_/models/classifier.py', '../_base_/datasets/miniature-imagenet_96x96.py',
    '../_base_/schedules/adamw_300e.py', '../_base_/classification_runtime.py'
]
model = dict(
    data_preprocessor=dict(num_classes=8),
    backbone=dict(type='mmvisattn.TopFormer', arch='tiny', semantics_stride=32, drop_path_rate=0.0, out_indices=(4, )),
    head=dict(
        type='LeViTClsHead',
        distillation=False,
        num_classes=8,
        in_channels=208,
        loss=dict(_delete_=True, type='CrossEntropyLoss')),
    train_cfg=None)
optim_wrapper = dict(optimizer=dict(lr=4e-3, weight_decay=0.01, fused=True), clip_grad=None)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=True, begin=1, end=12, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=12, val_interval=3)
default_hooks = dict(checkpoint=dict(interval=3), logger=dict(interval=20))
# 1 process x 32 images.
auto_scale_lr = dict(base_batch_size=32)
