"""Both mim, with an installed wheel in place of the tree. Slow: run by make test-install."""
import json
import os
import subprocess
from pathlib import Path

import pytest
from helpers import runs
from helpers.published import PUBLISHED
from helpers.serving import served
from helpers.wheel import built_wheel, copy_of_the_tree

pytestmark = pytest.mark.install
MIM = {'onedl': 'onedl-mim==0.5.1', 'openmmlab': 'openmim==0.3.9'}
CONFIG = 'topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'
RELEASE = 'https://github.com/AFeng-x/SMT/releases/download/v1.0.0'


@pytest.fixture(scope='module')
def release(tmp_path_factory):
    """A folder that stands for SMT's release, and its address on this machine."""
    folder = tmp_path_factory.mktemp('release')
    (folder / 'smt_tiny.pth').write_bytes(os.urandom(5000))
    with served(folder) as url:
        yield folder, url


@pytest.fixture(scope='module')
def python(set_up, release, tmp_path_factory):
    """The Python of an environment with mim and the wheel, in whose metafile the release is on this machine."""
    line, python = set_up
    folder = tmp_path_factory.mktemp('wheel')
    source = copy_of_the_tree(folder / 'source')
    metafile = source / 'configs/smt/metafile.yml'
    metafile.write_text(metafile.read_text().replace(RELEASE, release[1]))
    install = [python, '-m', 'pip', '--disable-pip-version-check', '--quiet', 'install']
    subprocess.run([*install, MIM[line]], check=True)
    # In place of the clone that is installed as editable.
    subprocess.run([*install, '--no-deps', '--no-index', '--force-reinstall', built_wheel(source, folder)], check=True)
    return python


@pytest.fixture
def mim(python, tmp_path):
    """Run mim away from the tree; returns the finished process."""
    variables = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    variables |= {'HOME': str(tmp_path / 'home'), 'PYTHONWARNINGS': 'ignore'}  # mim makes folders in it

    def run(command, *args, code=0):
        done = subprocess.run(
            [python, '-m', 'mim', command, 'mmvisattn', *map(str, args)], cwd=tmp_path, env=variables,
            capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def options(miniature):
    return runs.options(miniature, 2, **{'train_cfg.max_iters': 2})


def test_train_test_and_run(mim, miniature, tmp_path):
    work_dir = tmp_path / 'run'
    done = mim('train', CONFIG, '--work-dir', work_dir, *options(miniature))
    assert [record['step'] for record in runs.scalars(work_dir) if 'mIoU' in record] == [2], done.stdout
    checkpoint = work_dir / 'iter_2.pth'
    assert 'mIoU' in mim('test', CONFIG, '--checkpoint', checkpoint, *options(miniature)).stdout
    assert str(work_dir / 'report.png') in mim('run', 'report', work_dir).stdout


def test_gridsearch_trains_once_for_each_value(mim, miniature, tmp_path):
    mim('gridsearch', CONFIG, '--work-dir', tmp_path / 'search', '--search-args', '--optim_wrapper.optimizer.lr 0.004 0.002',
        *options(miniature))
    assert len(list(tmp_path.glob('search_*/iter_2.pth'))) == 2


def test_search_finds_by_data_set_and_figure(mim, tmp_path):
    mim('search', '--dataset', 'ADE20K', '--condition', 'mIoU>35', '--json', tmp_path / 'found.json')
    found = json.loads((tmp_path / 'found.json').read_text())['ade20k/miou']
    expected = {name: result['Metrics']['mIoU'] for name, model in PUBLISHED.items() for result in model.get('Results', [])
                if model['Metadata']['Training Data'] == 'ADE20K' and result['Metrics']['mIoU'] > 35}
    assert found == expected and len(found) == 16


def test_search_tells_the_page_of_weights(mim):
    found = mim('search', '--config', 'topformer-tiny_8xb128_in1k', '--field', 'weights_page').stdout
    assert 'https://github.com/hustvl/topformer' in found  # mim writes everything in lower case


@pytest.mark.parametrize('name', ['topformer-tiny_8xb128_in1k', 'topformer-tiny_retinanet_8xb2-12e_coco'])
def test_download_saves_no_page(mim, tmp_path, name):
    """Without weights mim fails, by an error of its own or by a Python one (docs/upstream/onedl-mim.md)."""
    mim('download', '--config', name, '--dest', tmp_path / 'weights', code=1)
    assert list((tmp_path / 'weights').iterdir()) == []


def test_download_saves_a_file(mim, release, tmp_path):
    mim('download', '--config', 'smt-tiny_8xb128_in1k', '--dest', tmp_path / 'weights')
    config, file = sorted(Path(tmp_path / 'weights').iterdir())
    assert config.name == 'smt-tiny_8xb128_in1k.py' and 'mmvisattn.SMT' in config.read_text()
    assert file.name == 'smt_tiny.pth' and file.read_bytes() == (release[0] / file.name).read_bytes()
