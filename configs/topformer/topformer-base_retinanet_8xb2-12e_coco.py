_base_ = './topformer-tiny_retinanet_8xb2-12e_coco.py'
model = dict(backbone=dict(arch='base'), neck=dict(in_channels=[32, 64, 128, 160, 384]))
