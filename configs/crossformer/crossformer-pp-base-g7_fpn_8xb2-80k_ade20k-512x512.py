_base_ = './crossformer-small-g14_fpn_8xb2-80k_ade20k-512x512.py'
model = dict(backbone=dict(arch='pp-base', drop_path_rate=0.3, group_size=7, interval=(8, 4, 2, 1), lda_scope='map'))
