"""ImageNet-22k (21,841 classes, fall 2011) as ``train/CLASS/*.JPEG``, and held-out images as ``val/CLASS/*.JPEG``."""
_base_ = './imagenet_224x224.py'
dataset_type = 'CustomDataset'
data_root = 'data/imagenet22k'
train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, split=None, data_prefix='train'))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, split=None, data_prefix='val'))
test_dataloader = val_dataloader
