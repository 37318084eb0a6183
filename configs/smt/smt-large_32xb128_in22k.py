# Pretraining on ImageNet-22k. The schedule, 90 epochs of 4096 images per step with 5 epochs of warm-up, is
# Swin Transformer's (https://arxiv.org/abs/2103.14030), a guess.
_base_ = [
    '../_base_/models/classifier.py', '../_base_/datasets/imagenet22k_224x224.py',
    '../_base_/schedules/adamw_300e.py', '../_base_/classification_runtime.py'
]
model = dict(
    data_preprocessor=dict(num_classes=21841),
    backbone=dict(type='mmvisattn.SMT', arch='large', drop_path_rate=0.4, out_indices=(3, )),
    head=dict(num_classes=21841, in_channels=768))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=5, end=90, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=90, val_interval=10)
# 32 processes x 128 images.
auto_scale_lr = dict(base_batch_size=4096)
