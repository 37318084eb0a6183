_base_ = './crossformer-small-g14_mask-rcnn_8xb2-36e_coco.py'
model = dict(backbone=dict(arch='base', drop_path_rate=0.3))
