_base_ = './crossformer-small-g14_fpn_8xb2-80k_ade20k-512x512.py'
model = dict(
    backbone=dict(arch='pp-small', lda_scope='map'),
    neck=dict(in_channels=[64, 128, 256, 512]))
