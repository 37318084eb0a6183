_base_ = './crossformer-base_cascade-mask-rcnn_8xb2-36e_coco.py'
model = dict(backbone=dict(arch='pp-base'))
