_base_ = [
    '../_base_/models/topformer-tiny_simple-head.py', '../_base_/datasets/ade20k_448x448.py',
    '../_base_/schedules/topformer_160k.py', '../_base_/default_runtime.py'
]
model = dict(data_preprocessor=dict(size=(448, 448)))
optim_wrapper = dict(optimizer=dict(lr=3e-4))
