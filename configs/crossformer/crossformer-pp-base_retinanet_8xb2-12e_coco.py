_base_ = './crossformer-base_retinanet_8xb2-12e_coco.py'
model = dict(backbone=dict(arch='pp-base'))
