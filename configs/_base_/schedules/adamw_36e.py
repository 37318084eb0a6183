"""The 3x schedule: 36 epochs, a tenth of the rate after 27 and 33."""
_base_ = './adamw_12e.py'
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', gamma=0.1, milestones=[27, 33], by_epoch=True, begin=0, end=36),
]
train_cfg = dict(max_epochs=36)
