# Fine-tuning at 384 x 384 from ImageNet-22k. The schedule, 30 epochs with a small rate and hardly any decay, is
# Swin Transformer's (https://arxiv.org/abs/2103.14030), a guess.
_base_ = [
    '../_base_/models/classifier.py', '../_base_/datasets/imagenet_384x384.py',
    '../_base_/schedules/adamw_30e.py', '../_base_/classification_runtime.py'
]
model = dict(
    backbone=dict(
        type='mmvisattn.SMT',
        arch='large',
        drop_path_rate=0.4,
        out_indices=(3, ),
        init_cfg=dict(type='mmvisattn.OfficialPretrained', checkpoint='smt-large_32xb128_in22k')),
    head=dict(in_channels=768))
