"""Training a restorer and restoring files with it, run as a user runs them."""
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from helpers.reduced import ROOT
from helpers.runs import assert_refused, scalars
from mmengine.registry import MODELS

from mmvisattn.cli.test_sets import table
from mmvisattn.weights.catalog import catalog

TRAIN, TEST, RESTORE, REPORT, CROP = (ROOT / 'tools' / f'{name}.py' for name in (
    'train', 'test', 'restore', 'report', 'prepare_patches'))
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


def png_header(height, width):
    """A PNG file that holds a size, and no pixels."""
    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + header + chunk(b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b'')


@pytest.fixture(scope='module')
def trained(run_tool_in, tmp_path_factory):
    """A folder with a config, clean images, and a work folder of four iterations."""
    folder = tmp_path_factory.mktemp('restoration')
    (folder / 'small.py').write_text(SMALL.format(base=str(CONFIG)))
    for split in ('train/DFWB', 'test/CBSD68'):
        for i in range(3):
            image = cv2.GaussianBlur(np.random.default_rng(i).integers(0, 256, (40, 50, 3), dtype=np.uint8), (0, 0), 3)
            (folder / 'clean' / split).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / 'clean' / split / f'{i}.png'), image)
    done = run_tool_in(folder, TRAIN, 'small.py', '--work-dir', 'run', '--cfg-options', 'data_root=clean')
    assert done.returncode == 0, done.stderr
    return folder


def test_training_evaluates_and_resumes(trained, run_apart_in):
    scores = [record['gaussian/PSNR'] for record in scalars(trained / 'run') if 'gaussian/PSNR' in record]
    assert len(scores) == 2 and all(10 < score < 50 for score in scores)
    done = run_apart_in(trained, TRAIN, 'small.py', '--work-dir', 'run', '--resume', trained / 'run/iter_2.pth',
                      '--cfg-options', 'data_root=clean')
    assert done.returncode == 0, done.stderr
    assert [record['step'] for record in scalars(trained / 'run') if 'loss' in record][4:] == [3, 4]


def test_averaged_weights(trained, run_tool_in):
    command = (TRAIN, 'small.py', '--work-dir', 'averaged', '--cfg-options', 'data_root=clean', 'train_cfg.max_iters=2')
    done = run_tool_in(trained, *command, '--ema', 0.5)
    assert done.returncode == 0, done.stderr
    saved = torch.load(trained / 'averaged/iter_2.pth', weights_only=False)
    name = 'backbone.output.weight'
    assert (saved['state_dict'][name] != saved['ema_state_dict'][f'module.{name}']).any()
    assert_refused(run_tool_in(trained, *command, '--ema', 1.5), '--ema 1.5')


def test_report_shows_noisy_restored_and_clean(trained, run_tool_in):
    done = run_tool_in(trained, REPORT, 'run')
    assert done.returncode == 0, done.stderr
    assert re.search(r'PSNR \(gaussian\) +\d+\.\d+ dB on the validation set, at iteration \d', done.stdout)
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
    command = (RESTORE, photographs, tmp_path / 'restored', '--checkpoint', trained / 'run/iter_4.pth',
               '--tile', 16, '--tile-overlap', 4)
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


def test_a_file_is_restored(trained, run_tool_in, run_apart_in):
    source = trained / 'clean/test/CBSD68/0.png'
    command = (RESTORE, source, 'one.jpg', '--checkpoint', 'run/iter_4.pth')
    done = run_apart_in(trained, *command)
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(trained / 'one.jpg')).shape == (40, 50, 3)
    with_config = run_tool_in(trained, *command, '--config', 'small.py', '--overwrite')
    assert with_config.returncode == 0, with_config.stderr
    onto_itself = run_tool_in(trained, RESTORE, source, source, *command[3:], '--overwrite')
    assert onto_itself.returncode == 1 and 'the input itself' in onto_itself.stderr


@pytest.mark.parametrize('arguments, word', [
    (['nothing.png', 'out.png'], 'nothing.png'), (['clean', 'out'], 'no images in clean'),
    (['clean/test/CBSD68', 'out', '--tile', '8'], '--tile-overlap'),
    (['clean/test/CBSD68', 'out', '--right', 'clean/test/CBSD68'], '--right'),
    (['clean/test/CBSD68', 'out', '--memory', '0.00001'], 'not even tiles of 64'),
    (['clean/test/CBSD68', 'out', '--memory', '1', '--tile', '64'], 'give no --tile'),
    (['clean/test/CBSD68', 'out', '--memory', 'nan'], 'must be above 0'),
    (['clean/test/CBSD68', 'out', '--task', 'deraining'], 'give one of them'),
    (['clean/test/CBSD68', 'small.py'], 'is a file')], ids=str)
def test_wrong_arguments_are_explained(trained, run_tool_in, arguments, word):
    done = run_tool_in(trained, RESTORE, *arguments, '--checkpoint', 'run/iter_4.pth')
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert word in done.stderr.strip().splitlines()[-1]


def test_the_test_sets_that_are_there_are_evaluated(trained, run_tool_in):
    done = run_tool_in(trained, TEST, 'small.py', 'run/iter_4.pth', '--cfg-options', 'data_root=clean')
    assert done.returncode == 0, done.stderr
    printed = done.stdout + done.stderr
    assert 'left out Kodak24 sigma 15: there is no clean/test/Kodak' in printed
    assert re.search(r'^\| CBSD68 sigma 25 \| gaussian \| \d+\.\d\d \|  \|$', printed, re.MULTILINE)
    none = run_tool_in(trained, TEST, 'small.py', 'run/iter_4.pth', '--cfg-options', 'data_root=run')
    assert_refused(none, 'none of the 12 test sets is there', 'data_root')


def test_published_values_stand_beside():
    entry = catalog()['restormer_motion-deblurring_8xb8-300k_gopro-128x128']
    lines = table({'gopro/GoPro/PSNR': 32.9, 'gopro/GoPro/SSIM': 0.9, 'realblur/RealBlur-R/PSNR': 36.1}, entry).splitlines()
    assert lines[0] == '| test set | protocol | PSNR (dB) | published | SSIM | published |'
    assert lines[2:] == ['| GoPro | gopro | 32.90 | 32.92 | 0.900 | 0.961 |',
                         '| RealBlur-R | realblur | 36.10 | 36.19 |  | 0.957 |']
    assert table({'plain/PSNR': 30.0}, entry) == ''


def test_crops_are_the_images_pixels(run_tool, tmp_path):
    (tmp_path / 'large').mkdir()
    deep = np.random.default_rng(0).integers(0, 65536, (70, 90, 3), dtype=np.uint16)
    small = np.zeros((20, 90), np.uint8)
    for name, image in {'deep.png': deep, 'small.png': small}.items():
        cv2.imwrite(str(tmp_path / 'large' / name), image)
    command = (CROP, 'large', 'crops', '--size', 32, '--overlap', 8, '--workers', 2)
    done = run_tool(*command)
    assert done.returncode == 0, done.stderr
    written = {path.name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (tmp_path / 'crops').glob('*.png')}
    places = [(top, left) for top in (0, 24, 38) for left in (0, 24, 48, 58)]
    assert set(written) == {'small-1.png', *(f'deep-{i + 1}.png' for i in range(12))}
    np.testing.assert_array_equal(written['small-1.png'], small)
    for i, (top, left) in enumerate(places):
        np.testing.assert_array_equal(written[f'deep-{i + 1}.png'], deep[top:top + 32, left:left + 32])
    # An interrupted call: the last crop is not there yet.
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / 'crops').glob('*.png')}
    (tmp_path / 'crops/deep-12.png').unlink()
    (tmp_path / 'large/broken.png').write_text('no image')
    (tmp_path / 'large/huge.png').write_bytes(png_header(40000, 40000))
    cv2.imwrite(str(tmp_path / 'large/float.tiff'), np.full((40, 40), 0.5, np.float32))
    again = run_tool(*command)
    assert again.returncode == 1 and 'Traceback' not in again.stderr and '2 of 5 images' in again.stdout
    for fault in ('broken.png is not an image', 'float.tiff is not an image of 8 or 16 bits', 'huge.png cannot be read'):
        assert fault in again.stderr
    assert (tmp_path / 'crops/deep-12.png').is_file()
    assert (tmp_path / 'crops/small-1.png').stat().st_mtime_ns == times[tmp_path / 'crops/small-1.png']
    whole = run_tool(CROP, 'large', 'whole', '--size', 32, '--overlap', 8, '--keep-below', 80, '--glob', 'd*')
    assert [path.name for path in (tmp_path / 'whole').glob('*.png')] == ['deep-1.png'], whole.stderr
    assert_refused(run_tool(CROP, 'large', 'crops', '--size', 48, '--overlap', 8), 'OUTPUT crops holds other images', '32')
    assert_refused(run_tool(CROP, 'nothing', 'crops'), 'no folder nothing')
    assert_refused(run_tool(CROP, 'large', 'crops', '--overlap', 600), '--overlap', '--size')


def test_crops_of_pairs_get_equal_names(run_tool, tmp_path):
    for name in ('0001_NOISY_010.PNG', '0001_GT_010.PNG'):
        (tmp_path / 'scenes/0001').mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / 'scenes/0001' / name), np.zeros((20, 20, 3), np.uint8))
    for kind in ('NOISY', 'GT'):
        done = run_tool(CROP, 'scenes', kind, '--glob', f'*/*_{kind}_*', '--rename', f'_{kind}', '', '--workers', 1)
        assert done.returncode == 0, done.stderr
        assert [path.name for path in (tmp_path / kind).glob('*.png')] == ['0001_010-1.png']


def test_tiles_are_chosen_by_the_memory(trained, run_tool_in, tmp_path):
    cv2.imwrite(str(tmp_path / 'wide.png'), np.full((90, 200, 3), 100, np.uint8))
    command = (RESTORE, 'wide.png', 'out.png', '--checkpoint', trained / 'run/iter_4.pth', '--overwrite')
    free = run_tool_in(tmp_path, *command)
    assert 'largest image 200 x 90, no tiles: about 0.01 GiB' in free.stdout, free.stderr
    held = run_tool_in(tmp_path, *command, '--memory', 0.003)
    assert 'tiles of 64 x 64' in held.stdout, held.stderr
    (tmp_path / 'large').mkdir()
    (tmp_path / 'large/x.png').write_bytes(png_header(20000, 20000))
    large = run_tool_in(tmp_path, RESTORE, 'large', 'out', *command[3:])
    assert 'largest image 20000 x 20000' in large.stdout, large.stderr


def test_mixed_precision_changes_little(trained, run_tool_in, tmp_path):
    source = trained / 'clean/test/CBSD68/0.png'
    for name, options in {'single': (), 'mixed': ('--amp', 'bfloat16')}.items():
        done = run_tool_in(tmp_path, RESTORE, source, f'{name}.png', *options)
        assert done.returncode == 0, done.stderr
    single, mixed = (cv2.imread(str(tmp_path / f'{name}.png')).astype(float) for name in ('single', 'mixed'))
    assert 0 < abs(single - mixed).mean() < 0.5


def test_videos_are_restored(trained, run_tool_in, tmp_path):
    (tmp_path / 'in').mkdir()
    writer = cv2.VideoWriter(str(tmp_path / 'in/clip.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 10, (48, 32))
    for value in (50, 100, 150):
        writer.write(np.full((32, 48, 3), value, np.uint8))
    writer.release()
    done = run_tool_in(tmp_path, RESTORE, 'in', 'out', '--checkpoint', trained / 'run/iter_4.pth')
    assert done.returncode == 0 and 'restored 1 of 1 files' in done.stdout, done.stderr
    found = cv2.VideoCapture(str(tmp_path / 'out/clip.mp4'))
    assert found.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and found.get(cv2.CAP_PROP_FPS) == 10
    assert_refused(run_tool_in(tmp_path, RESTORE, 'in/clip.avi', 'clip.avi'), '.mp4')
    (tmp_path / 'in/clip.mp4').write_bytes((tmp_path / 'out/clip.mp4').read_bytes())
    assert_refused(run_tool_in(tmp_path, RESTORE, 'in', 'new'), 'several videos', 'clip.mp4')


def test_views_of_unequal_length_are_refused(run_tool, tmp_path):
    model = MODELS.build(dict(type='mmvisattn.Restormer', embed_dims=8, depths=(1, 1, 1, 1), in_channels=6, dual_pixel=True))
    torch.save(model.state_dict(), tmp_path / 'dual.pth')
    for name, number in {'left': 3, 'right': 2}.items():
        writer = cv2.VideoWriter(str(tmp_path / f'{name}.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 10, (48, 32))
        for _ in range(number):
            writer.write(np.full((32, 48, 3), 100, np.uint8))
        writer.release()
    done = run_tool(RESTORE, 'left.avi', 'out.mp4', '--right', 'right.avi', '--checkpoint', 'dual.pth')
    assert done.returncode == 1 and 'differ in their number of frames' in done.stderr
    assert not (tmp_path / 'out.mp4').exists()


def test_what_is_no_restormer_is_explained(run_tool, tmp_path):
    torch.save({'weight': torch.zeros(3)}, tmp_path / 'other.pth')
    cv2.imwrite(str(tmp_path / 'x.png'), np.zeros((8, 8, 3), np.uint8))
    other = run_tool(RESTORE, 'x.png', 'y.png', '--checkpoint', 'other.pth')
    assert_refused(other, 'not the weights of a Restormer', '--config')
    assert_refused(run_tool(RESTORE, 'x.png', 'y.png', '--task', 'derainin'), 'did you mean deraining?')
    assert_refused(run_tool(RESTORE, 'x.png', 'y.png', '--config', 'c.py'), 'needs --checkpoint')
