"""Predicting images, folders and videos, run as a user runs it."""
import json
import shutil

import cv2
import numpy as np
import pytest
from helpers.reduced import ROOT
from helpers.runs import assert_refused
from helpers.serving import served

PREDICT = ROOT / 'tools/predict.py'


@pytest.fixture
def inputs(tmp_path):
    """Three images, one of which is broken, and a video of five frames."""
    folder = tmp_path / 'inputs'
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ('a.png', 'b.jpg'):
        cv2.imwrite(str(folder / name), random.integers(0, 256, (64, 96, 3), dtype=np.uint8))
    (folder / 'broken.jpg').write_text('broken')
    video = cv2.VideoWriter(str(folder / 'film.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 8, (96, 64))
    for _ in range(5):
        video.write(random.integers(0, 256, (64, 96, 3), dtype=np.uint8))
    video.release()
    return folder


def written(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_predicted_and_what_fails_is_reported(inputs, run_tool, tmp_path):
    done = run_tool(PREDICT, 'inputs', '--out', 'out', '--data', '--batch', 2)
    assert_refused(done, '1 of 4 inputs')
    assert 'skipped: ' in done.stderr and 'broken.jpg' in done.stderr
    assert written(tmp_path / 'out') == ['a.png', 'b.png', 'film.mp4', 'labels']
    assert written(tmp_path / 'out/labels') == ['a.png', 'b.png'] and '--data writes' in done.stderr
    film = cv2.VideoCapture(str(tmp_path / 'out/film.mp4'))
    assert (film.get(cv2.CAP_PROP_FRAME_COUNT), film.get(cv2.CAP_PROP_FPS)) == (5, 8)
    assert film.get(cv2.CAP_PROP_FRAME_WIDTH) == 96
    before = (tmp_path / 'out/a.png').stat().st_mtime_ns
    (inputs / 'broken.jpg').unlink()
    shutil.copy(inputs / 'a.png', inputs / 'c.png')
    done = run_tool(PREDICT, 'inputs', '--out', 'out')
    assert done.returncode == 0, done.stderr
    assert 'wrote 1 of 4' in done.stdout and '3 were there already' in done.stdout
    assert (tmp_path / 'out/a.png').stat().st_mtime_ns == before


def test_a_url_is_predicted(inputs, run_tool, tmp_path):
    with served(inputs) as url:
        done = run_tool(PREDICT, f'{url}/a.png', '--out', 'out')
        assert done.returncode == 0, done.stderr
        assert_refused(run_tool(PREDICT, f'{url}/nothing.png', '--out', 'out'), 'nothing.png', '404')
    assert written(tmp_path / 'out') == ['a.png']


def test_objects_are_written_in_cocos_format(inputs, run_tool, tmp_path):
    pytest.importorskip('mmdet')
    done = run_tool(PREDICT, inputs / 'a.png', '--model', 'detection', '--out', 'out', '--data')
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / 'out') == ['a.png', 'boxes']
    found = json.loads((tmp_path / 'out/boxes/a.json').read_text())
    assert found['classes'] == ['RBC', 'WBC', 'Platelets'] and found['name'] == 'a'


def test_images_are_restored_in_tiles(inputs, run_tool, tmp_path):
    done = run_tool(PREDICT, inputs / 'b.jpg', '--model', 'restoration', '--tile', 32, '--out', 'out')
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(tmp_path / 'out/b.jpg')).shape == (64, 96, 3)


@pytest.mark.parametrize('arguments, words', [
    (['nowhere'], ['nowhere']), ([''], ["folder ''"]), (['inputs', '--weights', 'detection'], ['does not fit', '…']),
    (['.', '--out', 'out'], ['no images in', 'no videos']),
    (['inputs', '--model', 'smt-smal'], ['did you mean', 'smt-small']),
    (['inputs', '--model', 'topformer-tiny'], ['backbone']),
    (['inputs', '--model', 'nowhere.py'], ['no config nowhere.py']),
    (['inputs', '--model', 'typo.py'], ['model.backbone.archh', 'did you mean arch?']),
    (['inputs', '--batch', '0'], ['--batch 0']), (['inputs', '--tile', '3'], ['--tile 3']),
    (['inputs', '--model', 'detection', '--tile', '64'], ['tile']),
    (['inputs', '--out', 'inputs/a.png'], ['--out', 'is a file']),
    (['inputs', '--model', 'restoration', '--out', 'inputs'], ['is an input']),
    (['inputs', '--device', 'cuda:7'], ["device='cuda:7'"]), (['inputs', '--weights', 'nowhere.pth'], ['nowhere.pth']),
])
def test_misuse_is_explained(arguments, words, inputs, run_tool, tmp_path):
    config = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb8-2500_camvid-320x240.py'
    (tmp_path / 'typo.py').write_text(f"_base_ = '{config}'\nmodel = dict(backbone=dict(archh='tiny'))\n")
    assert_refused(run_tool(PREDICT, *arguments), *words)


def test_data_are_written_beside_pictures_that_exist_and_names_stay_apart(tmp_path, run_tool):
    """A picture without its data is not done; one image that cannot be prepared does not end the others."""
    random = np.random.default_rng(0)
    folder = tmp_path / 'inputs'
    folder.mkdir()
    for name in ('a.jpg', 'a.png', 'a.jpg.bmp', 'x.png', 'x_labels.png'):
        cv2.imwrite(str(folder / name), random.integers(0, 256, (64, 96, 3), dtype=np.uint8))
    cv2.imwrite(str(folder / 'thin.png'), random.integers(0, 256, (1, 2000, 3), dtype=np.uint8))
    (folder / '.hidden.png').write_text('left by an interrupted run')
    done = run_tool(PREDICT, 'inputs', '--out', 'out', '--batch', 3)
    assert_refused(done, '1 of 6 inputs')
    assert 'thin.png' in done.stderr
    names = ['a.jpg.bmp.png', 'a.jpg.png', 'a.png.png', 'x.png.png', 'x_labels.png.png']
    assert written(tmp_path / 'out') == names
    (tmp_path / 'out/labels').mkdir()
    (tmp_path / 'out/labels/x.png.png').write_text('mine')
    times = {name: (tmp_path / 'out' / name).stat().st_mtime_ns for name in names}
    (folder / 'thin.png').unlink()
    done = run_tool(PREDICT, 'inputs', '--out', 'out', '--data')
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / 'out/labels') == names and (tmp_path / 'out/labels/x.png.png').read_text() == 'mine'
    assert times == {name: (tmp_path / 'out' / name).stat().st_mtime_ns for name in names}
