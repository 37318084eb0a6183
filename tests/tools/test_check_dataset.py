"""The data of a config is looked at: what is printed, written and drawn, and the exit status."""
import json
import shutil

import cv2
import numpy as np
import pytest
from helpers.reduced import ROOT
from helpers.runs import assert_refused

pytest.importorskip('mmseg')
TOOL = ROOT / 'tools/check_dataset.py'
CONFIG = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'
OUTPUTS = ('--json', 'found.json', '--picture', 'classes.png')


def test_good_data_is_counted_and_drawn(run_tool, miniature, tmp_path):
    done = run_tool(TOOL, CONFIG, *OUTPUTS, '--workers', 2, '--cfg-options', f'data_root={miniature}')
    assert done.returncode == 0, done.stderr
    assert 'train_dataloader: 6 samples, no fault' in done.stdout and 'val_dataloader: 3 samples, no fault' in done.stdout
    assert '100%' in done.stderr
    training, validation = json.loads((tmp_path / 'found.json').read_text())  # the test data is the validation data
    pixels = np.zeros(11, int)
    for path in (miniature / 'annotations/training').iterdir():
        pixels += np.bincount(cv2.imread(str(path), cv2.IMREAD_UNCHANGED).ravel(), minlength=11)
    assert training['counts'] == pixels[1:].tolist() and len(training['classes']) == 10
    assert max(training['images']) == 6 and validation['samples'] == 3
    assert np.ptp(cv2.imread(str(tmp_path / 'classes.png'))) == 255


def test_faults_are_listed_and_files_are_kept(run_tool, miniature, tmp_path):
    root = shutil.copytree(miniature, tmp_path / 'data')
    broken = min((root / 'images/validation').iterdir())
    broken.write_bytes(b'')
    options = ['--loaders', 'val_dataloader', '--workers', 1, '--cfg-options', f'data_root={root}']
    done = run_tool(TOOL, CONFIG, *OUTPUTS, *options)
    assert_refused(done, '1 faults, see above and found.json')
    assert f'{broken}: is empty' in done.stdout and 'train_dataloader' not in done.stdout
    fault, = json.loads((tmp_path / 'found.json').read_text())[0]['faults']
    assert fault == dict(file=str(broken), text='is empty', stops=True)
    assert_refused(run_tool(TOOL, CONFIG, *OUTPUTS, *options), '--json found.json exists', '--overwrite')
