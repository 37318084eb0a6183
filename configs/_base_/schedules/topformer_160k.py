"""TopFormer's recipe on ADE20K: the head learns ten times as fast. (Norms decay: the key of the released rule that was to
exempt them matches none.)"""
_base_ = './adamw_160k.py'
optim_wrapper = dict(
    optimizer=dict(lr=1.2e-4), paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))
