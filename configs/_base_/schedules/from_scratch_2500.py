"""A few minutes of training from scratch on a small data set: 2,500 iterations, AdamW, warm-up, linear decay to 0."""
_base_ = './adamw_160k.py'
optim_wrapper = dict(optimizer=dict(lr=2e-3), paramwise_cfg=dict(norm_decay_mult=0.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=100, end=2500),
]
train_cfg = dict(max_iters=2500, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
# 1 process x 8 images.
auto_scale_lr = dict(base_batch_size=8)
