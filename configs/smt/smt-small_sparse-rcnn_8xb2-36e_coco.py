_base_ = [
    '../_base_/models/sparse-rcnn.py', '../_base_/datasets/coco_detection_detr.py',
    '../_base_/schedules/adamw_36e.py', '../_base_/detection_runtime.py'
]
# Stochastic depth as in the paper and in the classifiers; the released code for dense prediction uses dropout instead.
model = dict(
    backbone=dict(type='mmvisattn.SMT', arch='small', drop_path_rate=0.2),
    neck=dict(in_channels=[64, 128, 256, 512]))
# It is not stated whether norms decay; they do in mmdet's own recipe for this detector, so they do here.
optim_wrapper = dict(optimizer=dict(lr=2.5e-5), clip_grad=dict(max_norm=1, norm_type=2))
