# Noise of one strength by a light Restormer, from 160 photographs.
_base_ = './restormer-small_gaussian25_1xb8-1500_bsds-48x48.py'
model = dict(backbone=dict(depths=(1, 1, 2, 3), num_refinement_blocks=0))
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=50, end=2400),
]
train_cfg = dict(max_iters=2400, val_interval=800)
auto_scale_lr = dict(base_batch_size=4)
