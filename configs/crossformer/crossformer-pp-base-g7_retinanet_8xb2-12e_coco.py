_base_ = './crossformer-pp-base_retinanet_8xb2-12e_coco.py'
model = dict(backbone=dict(group_size=7, interval=(8, 4, 2, 1)))
