_base_ = './topformer-tiny_simple-head_8xb2-160k_ade20k-512x512.py'
model = dict(
    backbone=dict(arch='base'),
    neck=dict(in_channels=[32, 64, 128, 160], out_channels=256),
    decode_head=dict(in_channels=[256, 256, 256], channels=256))
