_base_ = './topformer-tiny_simple-head_8xb2-160k_ade20k-512x512.py'
model = dict(
    backbone=dict(arch='small'),
    neck=dict(in_channels=[24, 48, 96, 128], out_channels=192),
    decode_head=dict(in_channels=[192, 192, 192], channels=192))
