_base_ = [
    '../_base_/models/smt-small_upernet.py', '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/adamw_160k.py', '../_base_/default_runtime.py'
]
