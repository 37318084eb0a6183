_base_ = './smt-small_dino-4scale_8xb2-12e_coco.py'
param_scheduler = [dict(type='MultiStepLR', gamma=0.1, milestones=[30], by_epoch=True, begin=0, end=36)]
train_cfg = dict(max_epochs=36)
