_base_ = [
    '../_base_/models/topformer-tiny_simple-head.py', '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/topformer_160k.py', '../_base_/default_runtime.py'
]
