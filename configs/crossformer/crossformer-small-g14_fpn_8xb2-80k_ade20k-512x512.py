_base_ = [
    '../_base_/models/semantic-fpn.py', '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/semantic_fpn_80k.py', '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        type='mmvisattn.CrossFormer', arch='small', drop_path_rate=0.2, group_size=(14, 14, 7, 7), interval=(16, 8, 2, 1)),
    neck=dict(in_channels=[96, 192, 384, 768]))
