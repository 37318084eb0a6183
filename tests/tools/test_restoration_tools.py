"""Training a restorer and restoring files with it, run as a user runs them."""
import re

import cv2
import numpy as np
import pytest
from helpers.reduced import ROOT
from helpers.runs import run_afresh, scalars

TRAIN, RESTORE, REPORT = (ROOT / 'tools' / name for name in ('train.py', 'restore.py', 'report.py'))
CONFIG = ROOT / 'configs/restormer/restormer_gaussian-color-blind_8xb8-300k_dfwb-128x128.py'
SMALL = '''_base_ = {base!r}
model = dict(backbone=dict(embed_dims=8, depths=(1, 1, 1, 1), num_refinement_blocks=1, num_heads=(1, 1, 2, 2)))
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False,
                        batch_sampler=dict(schedule=[(0, 16, 2), (2, 24, 1)]))
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=4, val_interval=2)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=0, end=4)]
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
'''


@pytest.fixture(scope='module')
def trained(run_tool_in, tmp_path_factory):
    """A folder with a config, clean images, and a work folder of four iterations."""
    folder = tmp_path_factory.mktemp('restoration')
    (folder / 'small.py').write_text(SMALL.format(base=str(CONFIG)))
    for split in ('train', 'val'):
        for i in range(3):
            image = cv2.GaussianBlur(np.random.default_rng(i).integers(0, 256, (40, 50, 3), dtype=np.uint8), (0, 0), 3)
            (folder / 'clean' / split).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / 'clean' / split / f'{i}.png'), image)
    done = run_tool_in(folder, TRAIN, 'small.py', '--work-dir', 'run', '--cfg-options', 'data_root=clean')
    assert done.returncode == 0, done.stderr
    return folder


def test_training_evaluates_and_resumes(trained):
    scores = [record['PSNR'] for record in scalars(trained / 'run') if 'PSNR' in record]
    assert len(scores) == 2 and all(10 < score < 50 for score in scores)
    done = run_afresh(trained, TRAIN, 'small.py', '--work-dir', 'run', '--resume', trained / 'run/iter_2.pth',
                      '--cfg-options', 'data_root=clean')
    assert done.returncode == 0, done.stderr
    assert [record['step'] for record in scalars(trained / 'run') if 'loss' in record][4:] == [3, 4]


def test_report_shows_noisy_restored_and_clean(trained, run_tool_in):
    done = run_tool_in(trained, REPORT, 'run')
    assert done.returncode == 0, done.stderr
    assert re.search(r'PSNR +\d+\.\d+ dB on the validation set, at iteration \d', done.stdout)
    assert cv2.imread(str(trained / 'run/report.png')).shape[1] > 700


def test_a_folder_is_restored_and_failures_are_reported(trained, run_tool_in, tmp_path):
    photographs = tmp_path / 'photographs'
    photographs.mkdir()
    random = np.random.default_rng(0)
    images = {'colour.png': random.integers(0, 256, (33, 20, 3), dtype=np.uint8),
              'gray.png': random.integers(0, 256, (20, 33), dtype=np.uint8),
              'deep.png': random.integers(0, 65536, (20, 20, 3), dtype=np.uint16),
              'clear.png': random.integers(0, 256, (20, 21, 4), dtype=np.uint8)}
    for name, image in images.items():
        cv2.imwrite(str(photographs / name), image)
    (photographs / 'broken.png').write_text('no image')
    (photographs / 'notes.txt').write_text('no image either')
    command = (RESTORE, photographs, tmp_path / 'restored', '--config', trained / 'small.py',
               '--checkpoint', trained / 'run/iter_4.pth', '--tile', 16, '--tile-overlap', 4)
    done = run_tool_in(tmp_path, *command)
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert 'broken.png is not an image' in done.stderr and 'restored 4 of 5' in done.stdout
    written = {path.name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (tmp_path / 'restored').iterdir()}
    assert {name: (image.shape, image.dtype) for name, image in written.items()} == {
        name: (image.shape, image.dtype) for name, image in images.items()}
    np.testing.assert_array_equal(written['clear.png'][..., 3], images['clear.png'][..., 3])
    again = run_tool_in(tmp_path, *command)
    assert 'exists already; --overwrite' in again.stderr and 'restored 0 of 5' in again.stdout
    assert 'restored 4 of 5' in run_tool_in(tmp_path, *command, '--overwrite').stdout


def test_a_file_is_restored(trained, run_tool_in):
    source = trained / 'clean/val/0.png'
    command = (RESTORE, source, 'one.jpg', '--config', 'small.py', '--checkpoint', 'run/iter_4.pth')
    done = run_afresh(trained, *command)
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(trained / 'one.jpg')).shape == (40, 50, 3)
    onto_itself = run_tool_in(trained, RESTORE, source, source, *command[3:], '--overwrite')
    assert onto_itself.returncode == 1 and 'the input itself' in onto_itself.stderr


@pytest.mark.parametrize('arguments, word', [
    (['nothing.png', 'out.png'], 'nothing.png'), (['clean', 'out'], 'no images in clean'),
    (['clean/val', 'out', '--tile', '8'], '--tile-overlap'), (['clean/val', 'out', '--right', 'clean/val'], '--right'),
    (['clean/val', 'small.py'], 'is a file')], ids=str)
def test_wrong_arguments_are_explained(trained, run_tool_in, arguments, word):
    done = run_tool_in(trained, RESTORE, *arguments, '--config', 'small.py', '--checkpoint', 'run/iter_4.pth')
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert word in done.stderr.strip().splitlines()[-1]
