# Same as CrossFormer-T, with twice the rate of the backbone, which the convolutional blocks allow.
_base_ = '../crossformer/crossformer-tiny_fpn_1xb2-3000_camvid-192x160.py'
model = dict(backbone=dict(_delete_=True, type='mmvisattn.SMT', arch='tiny', drop_path_rate=0.0))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.3))))
