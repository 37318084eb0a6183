_base_ = [
    '../_base_/models/simple-head.py', '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/topformer_160k.py', '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(arch='small'),
    neck=dict(in_channels=[24, 48, 96, 128], out_channels=192),
    decode_head=dict(in_channels=[192, 192, 192], channels=192))
