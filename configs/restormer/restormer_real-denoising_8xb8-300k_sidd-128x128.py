_base_ = [
    '../_base_/models/restormer.py', '../_base_/datasets/restoration_pairs.py', '../_base_/schedules/restormer_300k.py',
    '../_base_/restoration_runtime.py'
]
model = dict(backbone=dict(norm='bias_free'))
data_root = 'data/real-denoising'
train_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix=dict(degraded='train/SIDD/input_crops', clean='train/SIDD/target_crops')))
val_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix=dict(degraded='val/SIDD/input_crops', clean='val/SIDD/target_crops')))
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='mmvisattn.SIDDBlocks',
                data_root=data_root,
                data_prefix=dict(
                    degraded='test/SIDD/ValidationNoisyBlocksSrgb.mat', clean='test/SIDD/ValidationGtBlocksSrgb.mat'),
                test_set='SIDD',
                test_mode=True,
                pipeline=[dict(type='mmvisattn.PackRestoration')]),
            dict(
                type='mmvisattn.DNDBoxes',
                data_root=data_root,
                data_prefix=dict(info='test/DND/info.mat', degraded='test/DND/images_srgb'),
                test_set='DND',
                test_mode=True,
                pipeline=[dict(type='mmvisattn.PackRestoration')]),
        ]))
val_evaluator = dict(protocol='sidd')
# tools/test.py --out DIR writes what the two benchmarks' servers take.
test_evaluator = [
    dict(type='mmvisattn.RestorationMetric', protocol='sidd', test_sets=['SIDD']),
    dict(type='mmvisattn.SIDDSubmission', test_set='SIDD'),
    dict(type='mmvisattn.DNDSubmission', test_set='DND'),
]
