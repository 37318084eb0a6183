_base_ = [
    '../_base_/models/restormer.py', '../_base_/datasets/restoration_pairs.py', '../_base_/schedules/restormer_300k.py',
    '../_base_/restoration_runtime.py'
]
data_root = 'data/motion-deblurring'
train_dataloader = dict(
    dataset=dict(
        data_root=data_root, data_prefix=dict(degraded='train/GoPro/input_crops', clean='train/GoPro/target_crops')))
val_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix=dict(degraded='val/GoPro/input_crops', clean='val/GoPro/target_crops')))
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='mmvisattn.PairedImageDataset',
                data_root=data_root,
                data_prefix=dict(degraded=f'test/{folder}/input', clean=f'test/{folder}/target'),
                test_set=folder.replace('_', '-'),
                test_mode=True,
                pipeline=[dict(type='mmvisattn.LoadImages'), dict(type='mmvisattn.PackRestoration')])
            for folder in ('GoPro', 'HIDE', 'RealBlur_R', 'RealBlur_J')
        ]))
val_evaluator = dict(protocol='gopro')
test_evaluator = [
    dict(type='mmvisattn.RestorationMetric', protocol='gopro', test_sets=['GoPro']),
    dict(type='mmvisattn.RestorationMetric', protocol='hide', test_sets=['HIDE']),
    dict(type='mmvisattn.RestorationMetric', protocol='realblur', test_sets=['RealBlur-R', 'RealBlur-J']),
]
