_base_ = [
    '../_base_/models/crossformer-small_fpn.py', '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/semantic_fpn_80k.py', '../_base_/default_runtime.py'
]
