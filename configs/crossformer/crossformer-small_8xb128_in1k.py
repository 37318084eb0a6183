_base_ = [
    '../_base_/models/classifier.py', '../_base_/datasets/imagenet_224x224.py',
    '../_base_/schedules/adamw_300e.py', '../_base_/classification_runtime.py'
]
model = dict(
    backbone=dict(type='mmvisattn.CrossFormer', arch='small', drop_path_rate=0.2, out_indices=(3, ), out_norm=True),
    head=dict(in_channels=768))
