_base_ = [
    '../_base_/models/dino-4scale.py', '../_base_/datasets/coco_detection_detr.py',
    '../_base_/schedules/adamw_12e.py', '../_base_/detection_runtime.py'
]
train_dataloader = dict(dataset=dict(filter_cfg=dict(filter_empty_gt=False)))
model = dict(
    backbone=dict(type='mmvisattn.SMT', arch='small', drop_path_rate=0.2, out_indices=(1, 2, 3)),
    neck=dict(in_channels=[128, 256, 512]))
# The authors released no configuration for DINO: rate, decay and clipping are those of mmdet's recipe for DINO.
optim_wrapper = dict(
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
param_scheduler = [dict(type='MultiStepLR', gamma=0.1, milestones=[11], by_epoch=True, begin=0, end=12)]
