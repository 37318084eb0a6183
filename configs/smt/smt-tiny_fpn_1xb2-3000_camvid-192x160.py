# Same as CrossFormer-T, with half of the iterations, and with twice the rate of the backbone, which the convolutional blocks
# allow.
_base_ = '../crossformer/crossformer-tiny_fpn_1xb2-6500_camvid-192x160.py'
model = dict(backbone=dict(_delete_=True, type='mmvisattn.SMT', arch='tiny', drop_path_rate=0.0))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.3))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=200),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=200, end=3000),
]
train_cfg = dict(max_iters=3000, val_interval=1000)
default_hooks = dict(checkpoint=dict(interval=1000))
