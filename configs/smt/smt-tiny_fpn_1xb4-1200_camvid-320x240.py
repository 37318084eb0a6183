# Same as CrossFormer-T, with twice the learning rate, which the convolutional blocks allow.
_base_ = '../crossformer/crossformer-tiny_fpn_1xb4-1200_camvid-320x240.py'
model = dict(backbone=dict(_delete_=True, type='mmvisattn.SMT', arch='tiny', drop_path_rate=0.0))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
