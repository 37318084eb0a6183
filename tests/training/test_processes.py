"""Several processes do what one does: the same gradients, each image evaluated once."""
import re

import pytest
import torch
from helpers.faults import end, forked, start_ranks
from helpers.reduced import ROOT
from helpers.trainings import begin, output
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, DefaultScope, init_default_scope
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmvisattn.config import without_sync_bn
from mmvisattn.datasets.miniature import write_miniature
from mmvisattn.training.seeded_augmentation import SeededDataset, SeededIndex

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')
CONFIGS = dict(
    segmentation=ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py',
    detection=ROOT / 'configs/topformer/topformer-tiny_fcos_1xb8-40e_miniature-coco.py',
    restoration=ROOT / 'configs/restormer/restormer_gaussian-color-blind_8xb8-300k_dfwb-128x128.py')


def training(task, data_root):
    """A model in double precision in which no sample influences another one, and its data; images of one size."""
    cfg = Config.fromfile(CONFIGS[task])
    init_default_scope(cfg.default_scope)
    settings = cfg.train_dataloader.dataset
    settings.data_root = str(data_root)
    if task == 'detection':
        settings.pipeline.insert(2, dict(type='Resize', scale=(160, 128), keep_ratio=False))
    if task == 'restoration':
        cfg.model.backbone.update(embed_dims=8, depths=(1, 1, 1, 1), num_refinement_blocks=1)
        cfg.model.mixup_beta = None
    else:
        cfg.model.backbone.drop_path_rate = 0.0
    torch.manual_seed(0)
    model = MODELS.build(without_sync_bn(cfg.model)).double().train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return model, SeededDataset(DATASETS.build(settings))


def backward(model, called, dataset, indices):
    """The gradient of a batch, with all processes."""
    batch = pseudo_collate([dataset[SeededIndex(index, seed=0)] for index in indices])
    data = model.data_preprocessor(batch, training=True)
    losses = called(torch.stack(list(data['inputs'])).double(), data['data_samples'], mode='loss')
    model.parse_losses(losses)[0].backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize('task', CONFIGS)
def test_gradients_of_two_processes_are_those_of_twice_the_batch(tmp_path, task, miniature, miniature_coco):
    root = dict(segmentation=miniature, detection=miniature_coco, restoration=tmp_path / 'clean')[task]
    if task == 'restoration':
        (root / 'train').mkdir(parents=True)
        (root / 'train/DFWB').symlink_to(miniature / 'images/training')
    indices = [(i, 32) if task == 'restoration' else i for i in range(4)]  # patches of 32 pixels

    def whole():
        model, dataset = training(task, root)
        torch.save(backward(model, model, dataset, indices), tmp_path / 'whole.pth')

    def part(rank):
        model, dataset = training(task, root)
        wrapped = DistributedDataParallel(model)
        torch.save(backward(model, wrapped, dataset, indices[2 * rank:2 * rank + 2]), tmp_path / f'part{rank}.pth')

    assert forked(whole) == 0 and end(start_ranks(part, 2)) == [0, 0]
    expected, *parts = (torch.load(tmp_path / f'{name}.pth') for name in ('whole', 'part0', 'part1'))
    assert len(expected) > 50 and max(gradient.abs().max() for gradient in expected.values()) > 1e-3
    for gradients in parts:
        torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-10)


@pytest.fixture(scope='module')
def five(tmp_path_factory):
    """Data with five validation images of each layout, and a checkpoint of each model."""
    folder, tasks = tmp_path_factory.mktemp('five'), {}
    for task, layout in (('segmentation', 'ade20k'), ('detection', 'coco')):
        root = write_miniature(folder / layout, layout, num_training=1, num_validation=5)
        cfg = Config.fromfile(CONFIGS[task])
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            torch.manual_seed(0)
            torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), folder / f'{task}.pth')
        tasks[task] = [CONFIGS[task], folder / f'{task}.pth', '--cfg-options', f'data_root={root}',
                       'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']
    return tasks


def metrics(folder):
    return re.findall(r'\((?:test|val)\).*?((?:aAcc|coco/bbox_mAP): .*?) +data_time', output(folder))[-1]


SLOW = pytest.mark.slow


@pytest.mark.parametrize('task, numbers', [
    ('segmentation', (1, 2)), pytest.param('segmentation', (1, 3), marks=SLOW),
    pytest.param('detection', (1, 2, 3), marks=SLOW)])
def test_each_image_is_evaluated_once(tmp_path, task, numbers, five):
    """Five images do not fall evenly to two processes, nor to three."""
    found = []
    for processes in numbers:
        folder = tmp_path / str(processes)
        folder.mkdir()
        statuses = end(begin(folder, *five[task], processes=processes, tool='test.py'))
        assert statuses == [0] * processes, output(folder)[-3000:]
        found.append(metrics(folder))
    assert len(set(found)) == 1
