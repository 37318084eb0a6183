"""Clean images with blind Gaussian noise of deviation 0 to 50 in training, and of 25 in validation."""
_base_ = './restoration_pairs.py'
data_root = 'data/denoising'
channels = 3
train_pipeline = [
    dict(type='mmvisattn.LoadImages', channels=channels),
    dict(type='mmvisattn.RandomPatch', size=128),
    dict(type='mmvisattn.RandomFlipRotate'),
    dict(type='mmvisattn.AddGaussianNoise', sigma=(0, 50)),
    dict(type='mmvisattn.PackRestoration'),
]
test_pipeline = [
    dict(type='mmvisattn.LoadImages', channels=channels),
    dict(type='mmvisattn.AddGaussianNoise', sigma=25, seed=0),
    dict(type='mmvisattn.PackRestoration'),
]
train_dataloader = dict(
    dataset=dict(
        type='mmvisattn.CleanImageDataset',
        data_root=data_root,
        data_prefix=dict(clean='train/DFWB'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        type='mmvisattn.CleanImageDataset',
        data_root=data_root,
        data_prefix=dict(clean='test/CBSD68'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(protocol='gaussian')
test_evaluator = val_evaluator
