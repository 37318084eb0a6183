# Noise of any strength from 5 to 50 by one small Restormer, from 160 photographs, within half an hour on two cores.
_base_ = ['./restormer-small_gaussian25_1xb8-1500_bsds-48x48.py']
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='mmvisattn.LoadImages'),
            dict(type='mmvisattn.RandomPatch', size=48),
            dict(type='mmvisattn.RandomFlipRotate'),
            dict(type='mmvisattn.AddGaussianNoise', sigma=(5, 50)),
            dict(type='mmvisattn.PackRestoration'),
        ]))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=50, end=2000),
]
train_cfg = dict(max_iters=2000)
