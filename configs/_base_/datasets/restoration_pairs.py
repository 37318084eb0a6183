"""Pairs of degraded and clean images of equal names; configs name the folders and the test sets."""
data_root = 'data/pairs'
channels = 3
# (first iteration, patch size, batch size of each of 8 GPUs): the paper's batches of 64, 40, 32, 16, 8, 8.
patch_schedule = [(0, 128, 8), (92000, 160, 5), (156000, 192, 4), (204000, 256, 2), (240000, 320, 1), (276000, 384, 1)]

train_pipeline = [
    dict(type='mmvisattn.LoadImages', channels=channels),
    dict(type='mmvisattn.RandomPatch', size=128),
    dict(type='mmvisattn.RandomFlipRotate'),
    dict(type='mmvisattn.PackRestoration'),
]
test_pipeline = [
    dict(type='mmvisattn.LoadImages', channels=channels),
    dict(type='mmvisattn.PackRestoration'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    batch_sampler=dict(type='mmvisattn.ProgressiveBatchSampler', schedule=patch_schedule),
    dataset=dict(
        type='mmvisattn.PairedImageDataset',
        data_root=data_root,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmvisattn.PairedImageDataset',
        data_root=data_root,
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmvisattn.RestorationMetric')
test_evaluator = val_evaluator
