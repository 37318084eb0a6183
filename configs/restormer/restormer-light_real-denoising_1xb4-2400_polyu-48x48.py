# Noise of cameras by a light Restormer, from 70 photographs of static scenes. The last 10 images are of a camera (Sony) that
# no training image is of. PolyU: https://arxiv.org/abs/1804.02603
_base_ = [
    '../_base_/models/restormer.py', '../_base_/datasets/restoration_pairs.py', '../_base_/schedules/restormer_300k.py',
    '../_base_/restoration_runtime.py'
]
model = dict(backbone=dict(embed_dims=24, depths=(1, 1, 2, 3), num_refinement_blocks=0, norm='bias_free'))
data_root = 'data/polyu'
data_prefix = dict(degraded='noisy', clean='clean')
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    batch_sampler=None,
    dataset=dict(
        data_root=data_root,
        data_prefix=data_prefix,
        indices=70,
        pipeline=[
            dict(type='mmvisattn.LoadImages'),
            dict(type='mmvisattn.RandomPatch', size=48),
            dict(type='mmvisattn.RandomFlipRotate'),
            dict(type='mmvisattn.PackRestoration'),
        ]))
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, data_prefix=data_prefix, indices=-10))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=50, end=2400),
]
train_cfg = dict(max_iters=2400, val_interval=800)
default_hooks = dict(checkpoint=dict(interval=400))
auto_scale_lr = dict(base_batch_size=4)
