"""TopFormer's recipe on ADE20K: ten times the learning rate for the head. (Norms decay: the released rule to exempt them has
a key that matches no norm.)"""
_base_ = './adamw_160k.py'
optim_wrapper = dict(
    optimizer=dict(lr=1.2e-4), paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))
