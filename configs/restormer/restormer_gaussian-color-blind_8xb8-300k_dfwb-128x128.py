_base_ = [
    '../_base_/models/restormer.py', '../_base_/datasets/gaussian_denoising.py', '../_base_/schedules/restormer_300k.py',
    '../_base_/restoration_runtime.py'
]
# Mixup is for Gaussian denoising alone.
model = dict(backbone=dict(norm='bias_free'), mixup_beta=1.2)
