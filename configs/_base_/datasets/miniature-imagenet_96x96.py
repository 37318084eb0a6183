"""The generated miniature data set in ImageNet's layout (``tools/make_miniature.py --layout imagenet``), at 96 x 96.

Random crops show objects larger than whole images do, so tests take a larger size (https://arxiv.org/abs/1906.06423).
"""
_base_ = './imagenet_224x224.py'
dataset_type = 'CustomDataset'
data_root = 'data/miniature-imagenet'
metainfo = dict(classes=('cross', 'disc', 'gear', 'hexagon', 'leaf', 'square', 'star', 'triangle'))  # in the folders' order
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=96, crop_ratio_range=(0.6, 1.0)),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(120, 120)),
    dict(type='PackInputs'),
]
data = dict(_delete_=True, type=dataset_type, data_root=data_root, metainfo=metainfo)
train_dataloader = dict(batch_size=32, num_workers=1, dataset=dict(data, data_prefix='train', pipeline=train_pipeline))
val_dataloader = dict(batch_size=64, num_workers=1, dataset=dict(data, data_prefix='val', pipeline=test_pipeline))
test_dataloader = val_dataloader
