_base_ = './crossformer-small_mask-rcnn_8xb2-12e_coco.py'
model = dict(backbone=dict(group_size=(14, 14, 7, 7), interval=(16, 8, 2, 1)))
