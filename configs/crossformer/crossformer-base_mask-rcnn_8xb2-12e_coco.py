_base_ = './crossformer-small_mask-rcnn_8xb2-12e_coco.py'
model = dict(backbone=dict(arch='base', drop_path_rate=0.3))
