"""Confusion matrices and boundary IoU, against maps whose figures are known."""
import json

import numpy as np
import pytest
import torch

from mmvisattn.analysis.confusion import Progress, boundary_region, class_ious, confusion_matrix, count_image, report

CLASSES = ['a', 'b', 'c', 'never']


@pytest.fixture
def maps():
    """Two pairs of label maps, with unlabelled pixels."""
    random = np.random.default_rng(0)
    pairs = []
    for shape in ((40, 60), (33, 50)):
        truth = random.integers(0, 3, shape)
        predicted = np.where(random.random(shape) < 0.7, truth, random.integers(0, 3, shape))
        truth[:5] = 255
        pairs.append((truth, predicted))
    return pairs


def test_mean_iou_is_mmsegs(maps):
    mmseg = pytest.importorskip('mmseg.evaluation')
    metric = mmseg.IoUMetric()
    metric.dataset_meta = dict(classes=CLASSES)
    for truth, predicted in maps:
        found, given = (dict(data=torch.tensor(labels)) for labels in (predicted, truth))
        metric.process({}, [dict(pred_sem_seg=found, gt_sem_seg=given)])
    figures = report([count_image(i, str(i), *pair, len(CLASSES)) for i, pair in enumerate(maps)], CLASSES)
    assert round(100 * figures['mIoU'], 2) == metric.evaluate(2)['mIoU'] < 90
    assert figures['IoU'][3] is None and figures['boundary_IoU'][3] is None
    assert np.sum(figures['confusion']) == sum((truth != 255).sum() for truth, _ in maps)


def test_a_perfect_prediction_has_only_a_diagonal(maps):
    truth = maps[0][0]
    one = count_image(0, 'x', truth, np.where(truth == 255, 1, truth), len(CLASSES))
    matrix = confusion_matrix([one], len(CLASSES))
    assert (matrix == np.diag(matrix.diagonal())).all() and np.nanmin(class_ious(matrix)) == 1
    assert all(both == either > 0 for _, both, either in one.boundary)


def test_boundaries_are_as_wide_as_they_say():
    mask = np.zeros((20, 20), bool)
    mask[4:16, 0:16] = True
    ring = boundary_region(mask, 2)
    expected = mask.copy()
    expected[6:14, 2:14] = False  # the edge of the image counts
    assert (ring == expected).all()


def test_a_shifted_square_has_the_boundary_iou_of_its_rings():
    truth = np.zeros((50, 50), int)
    truth[10:40, 10:40] = 1
    one = count_image(0, 'x', truth, np.roll(truth, 1, axis=1), 2)
    label, both, either = one.boundary[1]
    # 2 % of the diagonal is 1 pixel: rings of 116 pixels, which share the upper and lower side but for a column.
    assert (label, both, either) == (1, 58, 174)


def test_an_interrupted_run_goes_on(maps, tmp_path):
    path, subject = tmp_path / 'out/images.jsonl', dict(model='m')
    progress = Progress(path, subject)
    first = count_image(0, '0', *maps[0], len(CLASSES))
    progress.add(first)
    with path.open('a') as file:
        file.write('{"index": 1, "ima')
    again = Progress(path, subject)
    assert list(again.left(2)) == [1]
    assert (confusion_matrix(again.counts, 4) == confusion_matrix([first], 4)).all()
    again.add(count_image(1, '1', *maps[1], len(CLASSES)))
    assert not list(Progress(path, subject).left(2))
    with pytest.raises(ValueError, match='another model'):
        Progress(path, dict(model='n'))


def test_a_damaged_file_is_named(maps, tmp_path):
    path = tmp_path / 'images.jsonl'
    for content in ('garbage\n', '{"model": "m"}\n{"odd": 1}\n'):
        path.write_text(content)
        with pytest.raises(ValueError, match='images.jsonl is damaged'):
            Progress(path, dict(model='m'))


def test_an_image_without_labels_has_no_figure(maps):
    unlabelled = np.full((4, 5), 255)
    counts = [count_image(0, 'labelled', *maps[0], len(CLASSES)), count_image(1, 'not', unlabelled, unlabelled * 0, 4)]
    figures = report(counts, CLASSES)
    assert figures['images']['not'] is None and figures['images']['labelled'] > 0
    json.dumps(figures, allow_nan=False)


def test_a_label_that_is_no_class_is_named(maps):
    truth, predicted = maps[0]
    truth[20, 20] = 15
    with pytest.raises(ValueError, match='x.png has the label 15, but there are 4 classes'):
        count_image(0, 'x.png', truth, predicted, len(CLASSES))
