_base_ = [
    '../_base_/models/simple-head.py', '../_base_/datasets/camvid_320x240.py',
    '../_base_/schedules/from_scratch_2500.py', '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=(240, 320)),
    backbone=dict(arch='tiny'),
    neck=dict(in_channels=[16, 32, 64, 96], out_channels=128),
    decode_head=dict(in_channels=[128, 128, 128], channels=128, depthwise=True, num_classes=11))
