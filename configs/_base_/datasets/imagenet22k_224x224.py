"""ImageNet-22k (21,841 classes, fall 2011) as ``train/CLASS/*.JPEG``, and held-out images as ``val/CLASS/*.JPEG``."""
_base_ = './imagenet_224x224.py'
dataset_type = 'CustomDataset'
data_root = 'data/imagenet22k'
data = dict(_delete_=True, type=dataset_type, data_root=data_root)
train_dataloader = dict(dataset=dict(data, data_prefix='train', pipeline={{_base_.train_pipeline}}))
val_dataloader = dict(dataset=dict(data, data_prefix='val', pipeline={{_base_.test_pipeline}}))
test_dataloader = val_dataloader
