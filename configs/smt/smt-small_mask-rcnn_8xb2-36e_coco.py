_base_ = [
    '../_base_/models/mask-rcnn.py', '../_base_/datasets/coco_instance_detr.py',
    '../_base_/schedules/adamw_36e.py', '../_base_/detection_runtime.py'
]
# Stochastic depth as in the paper and in the classifiers; the released code for dense prediction uses dropout instead.
model = dict(
    backbone=dict(type='mmvisattn.SMT', arch='small', drop_path_rate=0.2),
    neck=dict(in_channels=[64, 128, 256, 512]))
# Norms named 'norm' do not decay; the batch norms of stem and modulation do, as in the released recipe.
optim_wrapper = dict(
    optimizer=dict(lr=2e-4, weight_decay=0.05), paramwise_cfg=dict(custom_keys={'norm': dict(decay_mult=0.0)}))
