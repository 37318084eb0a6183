_base_ = [
    '../_base_/models/cascade-mask-rcnn.py', '../_base_/datasets/coco_instance_ms.py',
    '../_base_/schedules/adamw_36e.py', '../_base_/detection_runtime.py'
]
model = dict(
    backbone=dict(
        type='mmvisattn.CrossFormer', arch='small', drop_path_rate=0.2, group_size=(14, 14, 7, 7), interval=(16, 8, 2, 1)),
    neck=dict(in_channels=[96, 192, 384, 768]))
