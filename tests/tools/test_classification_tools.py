"""Training, testing and applying a classifier, run as a user runs it."""
import json
import re
from contextlib import nullcontext

import cv2
import pytest
import torch
from helpers import runs
from helpers.reduced import ROOT
from helpers.runs import assert_refused, scalars
from mmengine.config import Config

from mmvisattn.cli.checks import check_data
from mmvisattn.cli.usage import UsageError
from mmvisattn.weights import read_checkpoint

pytest.importorskip('mmpretrain')
TRAIN, TEST, REPORT, PREDICT = (ROOT / 'tools' / f'{name}.py' for name in ('train', 'test', 'report', 'predict'))
CONFIG = ROOT / 'configs/topformer/topformer-tiny_1xb32-12e_miniature-imagenet-96x96.py'
SEGMENTOR = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'


def options(data_root, **settings):
    """Two epochs of two batches, validated after each."""
    return runs.options(data_root, 1, **{'train_cfg.max_epochs': 2, 'train_dataloader.batch_size': 8, **settings})


@pytest.fixture(scope='module')
def trained(miniature_imagenet, tmp_path_factory, run_tool_in):
    folder = tmp_path_factory.mktemp('classifier')
    done = run_tool_in(folder, TRAIN, CONFIG, '--work-dir', 'run', *options(miniature_imagenet))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope='module')
def best(trained):
    return next((trained / 'run').glob('best_accuracy_top1_*.pth'))


def test_training_evaluates_top_1_and_top_5(trained):
    records = scalars(trained / 'run')
    assert sum('loss' in record for record in records) == 4
    assert sum({'accuracy/top1', 'accuracy/top5'} <= set(record) for record in records) == 2


def test_report_draws_images(trained, run_tool_in):
    done = run_tool_in(trained, REPORT, 'run')
    assert done.returncode == 0, done.stderr
    assert re.search(r'top-1 +\d+\.\d\d % on the validation set, at iteration [24]\b', done.stdout)
    assert cv2.imread(str(trained / 'run/report.png')).shape[1] > 700


def test_testing_gives_top_1_and_top_5_and_paints(trained, best, run_tool_in, miniature_imagenet):
    done = run_tool_in(trained, TEST, CONFIG, best, '--show-dir', 'painted', *options(miniature_imagenet))
    assert done.returncode == 0, done.stderr
    assert 'accuracy/top1' in done.stdout + done.stderr and 'accuracy/top5' in done.stdout + done.stderr
    assert len(list((trained / 'painted').rglob('*.png'))) == 8
    assert_refused(run_tool_in(trained, TEST, CONFIG, best, '--out', 'scores', *options(miniature_imagenet)),
                   '--out', 'tools/predict.py --data')


def test_predicting_gives_the_five_highest_scores(trained, best, run_tool_in, miniature_imagenet):
    arguments = ('--model', CONFIG, '--weights', best, '--out', 'out', '--data')
    done = run_tool_in(trained, PREDICT, miniature_imagenet / 'val/star', *arguments)
    assert done.returncode == 0, done.stderr
    picture, = (trained / 'out').glob('*.png')
    scores = json.loads((trained / f'out/scores/{picture.stem}.json').read_text())['results']
    assert len(scores) == 5 and list(scores.values()) == sorted(scores.values(), reverse=True)
    image, = (miniature_imagenet / 'val/star').iterdir()
    assert cv2.imread(str(picture)).shape[0] > cv2.imread(str(image)).shape[0]  # the bars are below
    assert_refused(run_tool_in(trained, PREDICT, image, *arguments, '--tile', 64), '--tile', 'as a whole')


def test_averaging_leaves_the_training_as_it_is(trained, run_tool_in, miniature_imagenet):
    """Also beside averaging that the config asks for, as TopFormer's do: --ema is in its place."""
    (trained / 'averaging.py').write_text(f"_base_ = {str(CONFIG)!r}\ncustom_hooks = [dict(type='EMAHook', momentum=1e-4)]")
    done = run_tool_in(trained, TRAIN, 'averaging.py', '--work-dir', 'averaged', '--ema', 0.5, *options(miniature_imagenet))
    assert done.returncode == 0, done.stderr
    path = trained / 'averaged/epoch_2.pth'
    raw, averaged = read_checkpoint(path, 'raw'), read_checkpoint(path)
    expected = read_checkpoint(trained / 'run/epoch_2.pth')
    assert set(raw) == set(averaged) == set(expected)
    assert all(torch.equal(raw[name], expected[name]) for name in expected)
    assert not torch.equal(averaged['head.head.linear.weight'], expected['head.head.linear.weight'])


def test_a_segmentor_starts_from_the_classifier(trained, best, run_tool_in, miniature):
    done = run_tool_in(trained, TRAIN, SEGMENTOR, '--work-dir', 'segmentor', *runs.options(
        miniature, 1, **{'train_cfg.max_iters': 1, 'model.backbone.init_cfg.type': 'mmvisattn.OfficialPretrained',
                         'model.backbone.init_cfg.checkpoint': best}))
    assert done.returncode == 0, done.stderr
    assert re.search(r'best_accuracy_top1_\w+.pth: loaded \d+ tensors; dropped \d+', done.stdout + done.stderr)


@pytest.mark.parametrize('settings, words', [
    ({'model.head.num_classes': 10}, ('LeViTClsHead', 'num_classes=10', '8 classes')),
    ({'model.data_preprocessor.num_classes': 10}, ('model.data_preprocessor has num_classes=10', '8 classes')),
    ({'val_evaluator.topk': '(1,9)'}, ('val_evaluator.topk=(1, 9)', 'only 8 classes')),
    ({'train_dataloader.batch_size': 64}, ('16 samples', 'no whole batch', 'train_dataloader.batch_size')),
    ({'train_dataloader.dataset.data_prefix': 'training'}, ('train_dataloader', 'training', 'does not exist')),
], ids=str)
def test_what_does_not_fit_is_reported_in_one_line(run_tool, miniature_imagenet, settings, words):
    assert_refused(run_tool(TRAIN, CONFIG, *options(miniature_imagenet, **settings)), *words)


@pytest.mark.parametrize('classes, folders, words', [
    (('dog', 'cat'), ('cat', 'dog'), ('(cat, dog), but the classes are dog, cat', 'order of the folders')),
    (('cat', 'dog'), ('cat', 'dog', 'emu'), ('3 folders (cat, dog, emu), but there are 2 classes (cat, dog)',)),
    (None, ('cat',), ('1 folders (cat), but there are 2 classes in the model',)),
    (('a cat', 'a dog'), ('cat', 'dog'), ()),  # names to show
    (None, ('cat', 'dog'), ()),
], ids=str)
def test_classes_are_the_folders_in_their_order(classes, folders, words, tmp_path):
    for folder in folders:
        (tmp_path / 'val' / folder).mkdir(parents=True)
    cfg = Config.fromfile(CONFIG)
    cfg.model.head.num_classes = cfg.model.data_preprocessor.num_classes = 2
    cfg.val_dataloader.dataset.update(data_root=str(tmp_path), metainfo=classes and dict(classes=classes))
    with pytest.raises(UsageError) if words else nullcontext() as refused:
        check_data(cfg, 'val_dataloader')
    assert not words or all(word in str(refused.value) for word in words)
