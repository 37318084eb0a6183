"""The paper's recipe: AdamW, 3e-4 for 92k iterations, then cosine to 1e-6 at 300k; gradients clipped to a norm of 0.01."""
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.999), weight_decay=1e-4),
    clip_grad=dict(max_norm=0.01))
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=92000, end=300000)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=300000, val_interval=4000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='mmvisattn.CheckpointHook', by_epoch=False, interval=4000, max_keep_ckpts=3, save_best='auto', rule='greater'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
# 8 GPUs x 8 patches in the first stage.
auto_scale_lr = dict(enable=False, base_batch_size=64)
