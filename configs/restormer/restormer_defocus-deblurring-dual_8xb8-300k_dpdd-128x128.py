# The two views of a dual-pixel sensor, in two folders.
_base_ = './restormer_defocus-deblurring_8xb8-300k_dpdd-128x128.py'
model = dict(backbone=dict(in_channels=6, dual_pixel=True))
train_dataloader = dict(
    dataset=dict(data_prefix=dict(degraded='train/input_left', degraded_right='train/input_right')))
val_dataloader = dict(
    dataset=dict(data_prefix=dict(degraded='test/input_left', degraded_right='test/input_right')))
test_dataloader = val_dataloader
