_base_ = './crossformer-small_cascade-mask-rcnn_8xb2-36e_coco.py'
model = dict(backbone=dict(arch='pp-small'), neck=dict(in_channels=[64, 128, 256, 512]))
