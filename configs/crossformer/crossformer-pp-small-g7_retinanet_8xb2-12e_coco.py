_base_ = './crossformer-small_retinanet_8xb2-12e_coco.py'
model = dict(
    backbone=dict(arch='pp-small', group_size=7, interval=(8, 4, 2, 1), lda_scope='map'),
    neck=dict(in_channels=[64, 128, 256, 512]))
