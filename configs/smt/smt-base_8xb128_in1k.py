_base_ = [
    '../_base_/models/classifier.py', '../_base_/datasets/imagenet_224x224.py',
    '../_base_/schedules/adamw_300e.py', '../_base_/classification_runtime.py'
]
model = dict(
    backbone=dict(type='mmvisattn.SMT', arch='base', drop_path_rate=0.3, out_indices=(3, )),
    head=dict(in_channels=512))
