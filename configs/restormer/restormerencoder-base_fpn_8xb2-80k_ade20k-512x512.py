# Experimental: no paper publishes this.
_base_ = '../crossformer/crossformer-small_fpn_8xb2-80k_ade20k-512x512.py'
model = dict(
    backbone=dict(_delete_=True, type='mmvisattn.RestormerEncoder', arch='base', embedding_stride=4, drop_path_rate=0.1),
    neck=dict(in_channels=[48, 96, 192, 384]))
