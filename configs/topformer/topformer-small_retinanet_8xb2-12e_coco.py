_base_ = './topformer-tiny_retinanet_8xb2-12e_coco.py'
model = dict(backbone=dict(arch='small'), neck=dict(in_channels=[24, 48, 96, 128, 296]))
