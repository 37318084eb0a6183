# Generated rain, removed by a light Restormer, from 160 photographs.
_base_ = './restormer-light_real-denoising_1xb4-2400_polyu-48x48.py'
model = dict(backbone=dict(norm='with_bias'))
data_root = 'data/bsds'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmvisattn.CleanImageDataset',
        data_root=data_root,
        data_prefix=dict(clean='train'),
        pipeline=[
            dict(type='mmvisattn.LoadImages'),
            dict(type='mmvisattn.RandomPatch', size=64),
            dict(type='mmvisattn.RandomFlipRotate'),
            dict(type='mmvisattn.AddRain'),
            dict(type='mmvisattn.PackRestoration'),
        ]))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmvisattn.CleanImageDataset',
        data_root=data_root,
        data_prefix=dict(clean='val'),
        test_mode=True,
        pipeline=[
            dict(type='mmvisattn.LoadImages'),
            dict(type='mmvisattn.AddRain', fixed=True),
            dict(type='mmvisattn.PackRestoration'),
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(protocol='deraining')
test_evaluator = val_evaluator
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=50, end=2000),
]
train_cfg = dict(max_iters=2000, val_interval=1000)
