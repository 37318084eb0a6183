# A small Restormer for noise of one strength, from 160 photographs, within 20 minutes on two cores.
_base_ = [
    '../_base_/models/restormer.py', '../_base_/datasets/gaussian_denoising.py', '../_base_/schedules/restormer_300k.py',
    '../_base_/restoration_runtime.py'
]
model = dict(
    backbone=dict(embed_dims=24, depths=(2, 2, 2, 3), num_refinement_blocks=2, norm='bias_free'))
data_root = 'data/bsds'
train_dataloader = dict(
    num_workers=1,
    batch_sampler=None,
    dataset=dict(
        data_root=data_root,
        data_prefix=dict(clean='train'),
        pipeline=[
            dict(type='mmvisattn.LoadImages'),
            dict(type='mmvisattn.RandomPatch', size=48),
            dict(type='mmvisattn.RandomFlipRotate'),
            dict(type='mmvisattn.AddGaussianNoise', sigma=25),
            dict(type='mmvisattn.PackRestoration'),
        ]))
custom_hooks = None
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, data_prefix=dict(clean='val')))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=50, end=1500),
]
train_cfg = dict(max_iters=1500, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
# 1 process x 8 patches.
auto_scale_lr = dict(base_batch_size=8)
