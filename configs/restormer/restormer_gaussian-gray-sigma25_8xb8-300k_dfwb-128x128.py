_base_ = './restormer_gaussian-gray-blind_8xb8-300k_dfwb-128x128.py'
train_dataloader = _base_.train_dataloader
train_dataloader.dataset.pipeline[3].sigma = 25
val_dataloader = _base_.val_dataloader
val_dataloader.dataset.pipeline[1].sigma = 25
test_dataloader = _base_.test_dataloader
test_dataloader.dataset.datasets = [
    one for one in test_dataloader.dataset.datasets if one.test_set.endswith('sigma 25')
]
