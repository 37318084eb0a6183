_base_ = [
    '../_base_/models/restormer.py', '../_base_/datasets/gaussian_denoising.py', '../_base_/schedules/restormer_300k.py',
    '../_base_/restoration_runtime.py'
]
# Mixup is for Gaussian denoising alone.
model = dict(backbone=dict(norm='bias_free'), mixup_beta=1.2)
folders = {'CBSD68': 'CBSD68', 'Kodak24': 'Kodak', 'McMaster': 'McMaster', 'Urban100': 'Urban100'}
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='mmvisattn.CleanImageDataset',
                data_root='data/denoising',
                data_prefix=dict(clean=f'test/{folder}'),
                test_set=f'{name} sigma {sigma}',
                test_mode=True,
                pipeline=[
                    dict(type='mmvisattn.LoadImages'),
                    dict(type='mmvisattn.AddGaussianNoise', sigma=sigma, seed=0),
                    dict(type='mmvisattn.PackRestoration'),
                ])
            for name, folder in folders.items() for sigma in (15, 25, 50)
        ]))
