_base_ = [
    '../_base_/models/restormer.py', '../_base_/datasets/restoration_pairs.py', '../_base_/schedules/restormer_300k.py',
    '../_base_/restoration_runtime.py'
]
data_root = 'data/deraining'
train_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix=dict(degraded='train/Rain13K/input', clean='train/Rain13K/target')))
val_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix=dict(degraded='test/Rain100L/input', clean='test/Rain100L/target')))
test_sets = ['Test100', 'Rain100H', 'Rain100L', 'Test2800', 'Test1200']
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='mmvisattn.PairedImageDataset',
                data_root=data_root,
                data_prefix=dict(degraded=f'test/{name}/input', clean=f'test/{name}/target'),
                test_set=name,
                test_mode=True,
                pipeline=[dict(type='mmvisattn.LoadImages'), dict(type='mmvisattn.PackRestoration')])
            for name in test_sets
        ]))
val_evaluator = dict(protocol='deraining')
test_evaluator = dict(protocol='deraining', test_sets=test_sets, mean='mean of the five')
