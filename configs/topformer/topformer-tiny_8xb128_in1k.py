# The authors publish no recipe. Their files hold averaged weights, so weights are averaged here. The rest is the recipe of
# the other families, a guess.
_base_ = [
    '../_base_/models/classifier.py', '../_base_/datasets/imagenet_224x224.py',
    '../_base_/schedules/adamw_300e.py', '../_base_/classification_runtime.py'
]
model = dict(
    backbone=dict(type='mmvisattn.TopFormer', arch='tiny', semantics_stride=32, out_indices=(4, )),
    head=dict(type='LeViTClsHead', distillation=False, in_channels=208))
custom_hooks = [dict(type='EMAHook', momentum=1e-4)]
