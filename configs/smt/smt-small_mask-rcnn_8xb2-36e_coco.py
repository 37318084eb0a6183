_base_ = [
    '../_base_/models/mask-rcnn.py', '../_base_/datasets/coco_instance_ms.py',
    '../_base_/schedules/adamw_36e.py', '../_base_/detection_runtime.py'
]
model = dict(
    backbone=dict(type='mmvisattn.SMT', arch='small', drop_path_rate=0.2),
    neck=dict(in_channels=[64, 128, 256, 512]))
optim_wrapper = dict(optimizer=dict(lr=2e-4, weight_decay=0.05))
