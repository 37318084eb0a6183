"""Training and testing a detector, run as a user runs it."""
import json
import re

import cv2
import pytest
from helpers import runs
from helpers.reduced import ROOT
from helpers.runs import assert_refused, scalars

pytest.importorskip('mmdet')
TRAIN, TEST, REPORT = (ROOT / 'tools' / name for name in ('train.py', 'test.py', 'report.py'))
CONFIG = ROOT / 'configs/topformer/topformer-tiny_fcos_1xb8-40e_miniature-coco.py'


def options(data_root, **settings):
    """Two epochs of three batches, validated after each. Scores stay near 0 after so little training, so all count."""
    return runs.options(data_root, 1, **{'train_cfg.max_epochs': 2, 'model.test_cfg.score_thr': 0.0, **settings})


@pytest.fixture(scope='module')
def trained(miniature_coco, run_apart_in, tmp_path_factory):
    folder = tmp_path_factory.mktemp('detector')
    done = run_apart_in(folder, TRAIN, CONFIG, '--work-dir', 'run', '--seed', 3, *options(miniature_coco))
    assert done.returncode == 0, done.stderr
    return folder


def test_training_evaluates_boxes(trained):
    records = scalars(trained / 'run')
    assert sum('loss' in record for record in records) == 6 and sum('coco/bbox_mAP' in record for record in records) == 2


def test_report_draws_boxes(trained, run_apart_in):
    done = run_apart_in(trained, REPORT, 'run')
    assert done.returncode == 0, done.stderr
    assert re.search(r'box AP +\d\.\d+ on the validation set, at iteration [36]\b', done.stdout)
    assert cv2.imread(str(trained / 'run/report.png')).shape[1] > 700


def test_testing_reports_every_class_paints_and_writes(trained, run_tool_in, miniature_coco):
    done = run_tool_in(trained, TEST, CONFIG, 'run/epoch_2.pth', '--classwise', '--show-dir', 'painted', '--out', 'boxes',
                       *options(miniature_coco))
    assert done.returncode == 0, done.stderr
    assert 'gear' in done.stdout + done.stderr and 'hexagon' in done.stdout + done.stderr
    assert len(list((trained / 'painted').rglob('*.png'))) == 3
    boxes = json.loads((trained / 'boxes/predictions.bbox.json').read_text())
    assert boxes and {'image_id', 'bbox', 'score', 'category_id'} <= set(boxes[0])


def test_augmented_testing(trained, run_tool_in, miniature_coco):
    small = {f'tta_pipeline.1.transforms.0.{i}.scale': f'({side},{side})' for i, side in enumerate((160, 96, 224))}
    done = run_tool_in(trained, TEST, CONFIG, 'run/epoch_2.pth', '--tta', *options(miniature_coco, **small))
    assert done.returncode == 0, done.stderr
    assert 'coco/bbox_mAP' in done.stdout + done.stderr


@pytest.mark.parametrize('settings, words', [
    ({'model.bbox_head.num_classes': 80}, ('FCOSHead', 'num_classes=80', '8 classes', 'gear')),
    ({'model.neck.in_channels': '[16,32,64,128]'}, ('SemanticInjection', '[16, 32, 64, 128]', '[16, 32, 64, 96]')),
    ({'train_dataloader.dataset.type': 'CocoDataset'}, ('train_dataloader', 'it lacks person', 'it has disc', 'metainfo')),
], ids=str)
def test_what_does_not_fit_is_reported_in_one_line(run_tool, miniature_coco, settings, words):
    assert_refused(run_tool(TRAIN, CONFIG, *options(miniature_coco, **settings)), *words)


def test_chosen_classes_may_be_a_part(miniature_coco):
    from mmengine.config import Config

    from mmvisattn.cli.checks import check_data
    cfg = Config.fromfile(CONFIG)
    cfg.train_dataloader.dataset.update(data_root=str(miniature_coco), metainfo=dict(classes=('star', 'disc')))
    check_data(cfg, 'train_dataloader')
