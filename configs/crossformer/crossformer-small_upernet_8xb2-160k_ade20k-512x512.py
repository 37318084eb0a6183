_base_ = [
    '../_base_/models/upernet.py', '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/adamw_160k.py', '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(type='mmvisattn.CrossFormer', arch='small', drop_path_rate=0.2),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384))
# Norms named 'norm' do not decay; those of cooling layers, position bias and heads do, as in the released recipe.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'norm': dict(decay_mult=0.0), 'cooling.norm': dict(decay_mult=1.0)}))
