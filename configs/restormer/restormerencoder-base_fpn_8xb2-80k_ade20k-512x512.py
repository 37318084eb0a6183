# Experimental: no paper publishes this.
_base_ = [
    '../_base_/models/semantic-fpn.py', '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/semantic_fpn_80k.py', '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(type='mmvisattn.RestormerEncoder', arch='base', embedding_stride=4, drop_path_rate=0.1),
    neck=dict(in_channels=[48, 96, 192, 384]))
