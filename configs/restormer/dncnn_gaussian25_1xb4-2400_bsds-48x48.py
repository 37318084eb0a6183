# The plain peer of the light Restormer: DnCNN, with the same data and time. Its paper: https://arxiv.org/abs/1608.03981
_base_ = './restormer-light_gaussian25_1xb4-2400_bsds-48x48.py'
model = dict(backbone=dict(_delete_=True, type='mmvisattn.DnCNN', batch_norm=False))
optim_wrapper = dict(optimizer=dict(lr=3e-4))
