_base_ = [
    '../_base_/models/simple-head.py', '../_base_/datasets/ade20k_448x448.py',
    '../_base_/schedules/topformer_160k.py', '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=(448, 448)),
    backbone=dict(arch='tiny'),
    neck=dict(in_channels=[16, 32, 64, 96], out_channels=128),
    decode_head=dict(in_channels=[128, 128, 128], channels=128, depthwise=True))
optim_wrapper = dict(optimizer=dict(lr=3e-4))
