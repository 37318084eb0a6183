# As the authors ran it: their dense code drops the group sizes of CrossFormer++.
_base_ = './crossformer-small_fpn_8xb2-80k_ade20k-512x512.py'
model = dict(
    backbone=dict(arch='pp-large', drop_path_rate=0.5, group_size=7, interval=(8, 4, 2, 1)),
    neck=dict(in_channels=[128, 256, 512, 1024]))
