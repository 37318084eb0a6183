_base_ = [
    '../_base_/models/upernet.py', '../_base_/datasets/ade20k_512x512_unrounded.py',
    '../_base_/schedules/adamw_160k.py', '../_base_/default_runtime.py'
]
# Stochastic depth as in the paper and in the classifiers; the released code for dense prediction uses dropout instead.
model = dict(
    backbone=dict(type='mmvisattn.SMT', arch='small', drop_path_rate=0.2),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256))
