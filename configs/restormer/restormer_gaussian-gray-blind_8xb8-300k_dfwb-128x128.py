_base_ = './restormer_gaussian-color-blind_8xb8-300k_dfwb-128x128.py'
model = dict(backbone=dict(in_channels=1, out_channels=1))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='mmvisattn.LoadImages', channels=1),
            dict(type='mmvisattn.RandomPatch', size=128),
            dict(type='mmvisattn.RandomFlipRotate'),
            dict(type='mmvisattn.AddGaussianNoise', sigma=(0, 50)),
            dict(type='mmvisattn.PackRestoration'),
        ]))
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='mmvisattn.LoadImages', channels=1),
            dict(type='mmvisattn.AddGaussianNoise', sigma=25, fixed=True),
            dict(type='mmvisattn.PackRestoration'),
        ]))
test_dataloader = val_dataloader
