_base_ = './restormer_gaussian-color-blind_8xb8-300k_dfwb-128x128.py'
model = dict(backbone=dict(in_channels=1, out_channels=1))
train_dataloader = _base_.train_dataloader
train_dataloader.dataset.pipeline[0].channels = 1
val_dataloader = _base_.val_dataloader
val_dataloader.dataset.pipeline[0].channels = 1
val_dataloader.dataset.data_prefix.clean = 'test/BSD68'
test_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                type='mmvisattn.CleanImageDataset',
                data_root='data/denoising',
                data_prefix=dict(clean=f'test/{name}'),
                test_set=f'{name} sigma {sigma}',
                test_mode=True,
                pipeline=[
                    dict(type='mmvisattn.LoadImages', channels=1),
                    dict(type='mmvisattn.AddGaussianNoise', sigma=sigma, seed=0),
                    dict(type='mmvisattn.PackRestoration'),
                ]) for name in ('Set12', 'BSD68', 'Urban100') for sigma in (15, 25, 50)
        ]))
