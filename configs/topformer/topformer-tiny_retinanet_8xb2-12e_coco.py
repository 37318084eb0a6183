_base_ = [
    '../_base_/models/retinanet.py', '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/adamw_12e.py', '../_base_/detection_runtime.py'
]
# Four levels of the pyramid, without the first in FPN as usual, and the semantics map at stride 64.
model = dict(
    backbone=dict(type='mmvisattn.TopFormer', arch='tiny', norm_cfg=dict(type='SyncBN', requires_grad=True)),
    neck=dict(in_channels=[16, 32, 64, 96, 208]))
