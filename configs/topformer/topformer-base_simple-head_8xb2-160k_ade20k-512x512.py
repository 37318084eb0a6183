_base_ = [
    '../_base_/models/simple-head.py', '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/topformer_160k.py', '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(arch='base'),
    neck=dict(in_channels=[32, 64, 128, 160], out_channels=256),
    decode_head=dict(in_channels=[256, 256, 256], channels=256))
