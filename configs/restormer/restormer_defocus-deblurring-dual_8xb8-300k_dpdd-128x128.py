# The two views of a dual-pixel sensor, in two folders.
_base_ = './restormer_defocus-deblurring_8xb8-300k_dpdd-128x128.py'
model = dict(backbone=dict(in_channels=6, dual_pixel=True))
train_dataloader = dict(
    dataset=dict(data_prefix=dict(degraded='train/DPDD/inputL_crops', degraded_right='train/DPDD/inputR_crops')))
val_dataloader = dict(
    dataset=dict(data_prefix=dict(degraded='val/DPDD/inputL_crops', degraded_right='val/DPDD/inputR_crops')))
test_dataloader = dict(
    dataset=dict(data_prefix=dict(degraded='test/DPDD/inputL', degraded_right='test/DPDD/inputR')))
