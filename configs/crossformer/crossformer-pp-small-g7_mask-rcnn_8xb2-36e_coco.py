_base_ = './crossformer-pp-small_mask-rcnn_8xb2-36e_coco.py'
model = dict(backbone=dict(group_size=7, interval=(8, 4, 2, 1)))
