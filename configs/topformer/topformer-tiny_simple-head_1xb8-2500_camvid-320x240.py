_base_ = [
    '../_base_/models/topformer-tiny_simple-head.py', '../_base_/datasets/camvid_320x240.py',
    '../_base_/schedules/from_scratch_2500.py', '../_base_/default_runtime.py'
]
model = dict(data_preprocessor=dict(size=(240, 320)), decode_head=dict(num_classes=11))
