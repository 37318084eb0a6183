_base_ = [
    '../_base_/models/restormer.py', '../_base_/datasets/restoration_pairs.py', '../_base_/schedules/restormer_300k.py',
    '../_base_/restoration_runtime.py'
]
data_root = 'data/defocus-deblurring'
train_dataloader = dict(
    dataset=dict(
        data_root=data_root, data_prefix=dict(degraded='train/DPDD/inputC_crops', clean='train/DPDD/target_crops')))
val_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix=dict(degraded='val/DPDD/inputC_crops', clean='val/DPDD/target_crops')))
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        data_prefix=dict(degraded='test/DPDD/inputC', clean='test/DPDD/target'),
        test_set='DPDD combined',
        # Indices of the images in the order of their names.
        subsets={'DPDD indoor': 'test/DPDD/indoor_labels.npy', 'DPDD outdoor': 'test/DPDD/outdoor_labels.npy'}))
val_evaluator = dict(protocol='dpdd')
test_evaluator = val_evaluator
