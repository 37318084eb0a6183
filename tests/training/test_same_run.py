"""A training that was killed, or told to stop, and resumed ends with the weights of one that was not, to the last bit."""
import os
import random
import signal
import time

import cv2
import numpy as np
import pytest
from helpers.faults import has_ended, wait_for
from helpers.runs import scalars
from helpers.trainings import assert_equal, begin, end, output, weights, write_config

from mmvisattn.training.preemption import STOPPED

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')
METRICS = dict(segmentation='mIoU', detection='coco/bbox_mAP', restoration='gaussian/PSNR')


@pytest.fixture(scope='module')
def data(tmp_path_factory, miniature, miniature_coco):
    """The options that name the data of each task."""
    clean = tmp_path_factory.mktemp('clean')
    for split in ('train/DFWB', 'test/CBSD68'):
        (clean / split).mkdir(parents=True)
        for i in range(3):
            image = np.random.default_rng(i).integers(0, 256, (40, 50, 3), dtype=np.uint8)
            cv2.imwrite(str(clean / split / f'{i}.png'), cv2.GaussianBlur(image, (0, 0), 3))
    return {task: ['--cfg-options', f'data_root={root}'] for task, root in (
        ('segmentation', miniature), ('detection', miniature_coco), ('restoration', clean))}


def last(task, processes):
    """The last checkpoint: after eight iterations, or after three epochs of six images in batches of two per process."""
    return f'iter_{8 if task != "detection" else 9 if processes == 1 else 6}.pth'


def scores(run, task):
    return [(record['step'], record[METRICS[task]]) for record in scalars(run) if METRICS[task] in record]


@pytest.fixture(scope='module')
def whole(tmp_path_factory, data):
    """Weights and scores of trainings without interruption, and without workers: each is run once."""
    known = {}

    def run(task, processes=1):
        if (task, processes) not in known:
            folder = tmp_path_factory.mktemp('whole')
            command = (write_config(folder / 'whole.py', task), '--work-dir', 'run', *data[task])
            assert end(begin(folder, *command, processes=processes)) == [0] * processes, output(folder)[-3000:]
            known[task, processes] = weights(folder / 'run', last(task, processes)), scores(folder / 'run', task)
        return known[task, processes]

    return run


def go_on(folder, config, task, data, processes=1, options=()):
    return begin(folder, config, '--work-dir', 'run', '--resume', *options, *data[task], processes=processes)


FAULT = pytest.mark.fault('killed or told to stop once, and resumed: weights as without')


@pytest.mark.parametrize('task, workers, processes, killer, statuses', [
    ('segmentation', 2, 1, dict(at=5), [-signal.SIGKILL]),
    pytest.param('segmentation', 0, 1, dict(at=4, during='val', kind=signal.SIGUSR1), [STOPPED],  # with averaged weights
                 marks=FAULT),
    pytest.param('segmentation', 2, 1, dict(at=3, kind=signal.SIGTERM, group=True), [STOPPED],  # its workers get it, too
                 marks=FAULT),
    pytest.param('detection', 0, 1, dict(at=5), [-signal.SIGKILL], marks=FAULT),  # within the second epoch
    pytest.param('restoration', 2, 1, dict(at=4, during='val'), [-signal.SIGKILL],  # after the patches have grown
                 marks=FAULT),
    pytest.param('restoration', 0, 2, dict(at=2, rank=1, kind=signal.SIGTERM), [STOPPED, STOPPED], marks=FAULT),
], ids=lambda value: value if isinstance(value, str) else '')
def test_interrupted_once(tmp_path, data, whole, task, workers, processes, killer, statuses):
    killing = write_config(tmp_path / 'killing.py', task, workers, killer=killer)
    assert end(go_on(tmp_path, killing, task, data, processes)) == statuses, output(tmp_path)[-3000:]
    if killer.get('kind') == signal.SIGTERM and processes > 1:
        assert (tmp_path / 'run/iter_3.pth').is_file()  # one iteration after the signal; nothing is lost
    config = write_config(tmp_path / 'config.py', task, workers)
    assert end(go_on(tmp_path, config, task, data, processes)) == [0] * processes, output(tmp_path)[-3000:]
    assert 'goes on from' in output(tmp_path)
    expected_weights, expected_scores = whole(task, processes)
    assert_equal(weights(tmp_path / 'run', last(task, processes)), expected_weights)
    # Every validation took place, that which was interrupted, too.
    assert sorted(set(scores(tmp_path / 'run', task))) == sorted(expected_scores)


def iterations(folder):
    return sum('loss' in record for record in scalars(folder / 'run'))


@pytest.mark.fault('killed at ten random moments and resumed: weights as without', tries=10)
@pytest.mark.parametrize('processes', [1, 2])
@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('task', list(METRICS))
def test_killed_ten_times(tmp_path, data, whole, task, workers, processes):
    """Kills at random moments: while it starts, trains, saves or validates. Some trainings end before they are killed."""
    config, dice = write_config(tmp_path / 'config.py', task, workers), random.Random(f'{task}{workers}{processes}')
    for _ in range(10):
        before, progress = iterations(tmp_path), dice.randrange(4)
        running = go_on(tmp_path, config, task, data, processes)
        wait_for(lambda: iterations(tmp_path) >= before + progress or has_ended(running[0]), seconds=600)  # noqa: B023
        time.sleep(dice.random() * 0.5)
        for process in running:
            os.kill(process, signal.SIGKILL)
        end(running)
    assert end(go_on(tmp_path, config, task, data, processes)) == [0] * processes, output(tmp_path)[-3000:]
    assert_equal(weights(tmp_path / 'run', last(task, processes)), whole(task, processes)[0])
