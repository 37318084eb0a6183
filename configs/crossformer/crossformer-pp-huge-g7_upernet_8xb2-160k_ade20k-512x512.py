# As the authors ran it: their dense code drops the group sizes of CrossFormer++.
_base_ = './crossformer-small_upernet_8xb2-160k_ade20k-512x512.py'
model = dict(
    backbone=dict(arch='pp-huge', drop_path_rate=0.5, group_size=7, interval=(8, 4, 2, 1)),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
    auxiliary_head=dict(in_channels=512))
