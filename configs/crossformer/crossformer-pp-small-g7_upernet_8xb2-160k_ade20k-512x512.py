_base_ = './crossformer-small_upernet_8xb2-160k_ade20k-512x512.py'
model = dict(
    backbone=dict(arch='pp-small', group_size=7, interval=(8, 4, 2, 1), lda_scope='map'),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256))
