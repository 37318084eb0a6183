_base_ = './crossformer-small_mask-rcnn_8xb2-12e_coco.py'
model = dict(backbone=dict(arch='pp-small'), neck=dict(in_channels=[64, 128, 256, 512]))
