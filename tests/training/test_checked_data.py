"""Broken samples stop a training with the name of a file, or are replaced, counted and told."""
import pytest
import torch
from helpers.faults import forked, toy_runner
from helpers.reduced import ROOT
from helpers.trainings import begin, end, output, write_config
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from mmvisattn.cli.broken_data import broken_data_named, count
from mmvisattn.cli.usage import UsageError
from mmvisattn.datasets.files import BadFile, image_size
from mmvisattn.training.checked_data import UNLABELLED, CheckedDataset, ReplacedSamplesHook


class Photographs(Dataset):
    """Files of which some cannot be loaded."""
    data_prefix: dict = {}

    def __init__(self, folder, broken=()):
        self.paths = []
        for i in range(6):
            self.paths.append(folder / f'{i}.png')
            Image.new('RGB', (16, 16)).save(self.paths[-1])
            if i in broken:
                self.paths[-1].write_bytes(b'')

    def get_data_info(self, index):
        return dict(img_path=str(self.paths[index]))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        image_size(self.paths[index])
        return torch.full((4,), float(index))


def batches_of(loader):
    """Its batches. The traceback of an error would keep its workers until the collector ends them, which takes 5 s."""
    try:
        return list(loader)
    except Exception as error:
        raise error.with_traceback(None) from None


@pytest.mark.parametrize('workers', [0, 2])
def test_a_broken_sample_is_named(tmp_path, workers):
    loader = DataLoader(CheckedDataset(Photographs(tmp_path, [3])), batch_size=2, num_workers=workers)
    with pytest.raises(UsageError, match=r'^\S+/3\.png is empty \(--skip-bad N'), broken_data_named():
        batches_of(loader)


@pytest.mark.parametrize('workers', [0, 2])
def test_broken_samples_are_replaced_by_the_next_good_ones(tmp_path, workers):
    dataset = CheckedDataset(Photographs(tmp_path, [2, 3, 5]), skip=3)
    batches = batches_of(DataLoader(dataset, batch_size=6, num_workers=workers))
    assert batches[0][:, 0].tolist() == [0, 1, 4, 4, 4, 0]
    assert dataset.replaced() == [str(tmp_path / f'{i}.png') for i in (2, 3, 5)]
    with pytest.raises(BadFile, match=r'5\.png is empty'):
        batches_of(DataLoader(CheckedDataset(Photographs(tmp_path, [2, 3, 5]), skip=2), batch_size=6, num_workers=workers))


UNFINISHED = '''
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from torch.utils.data import DataLoader
from training.test_checked_data import CheckedDataset, Photographs
batches = iter(DataLoader(CheckedDataset(Photographs(Path('.'))), batch_size=1, num_workers=2))
print(next(batches).shape)
'''


def test_workers_end_with_their_training(run_tool):
    """Although they ignore the signals of others."""
    done = run_tool('-c', UNFINISHED.format(tests=str(ROOT / 'tests')), timeout=120)
    assert done.returncode == 0 and 'torch.Size([1, 4])' in done.stdout, done.stderr


def test_what_a_transform_raises_is_told_with_the_file(tmp_path):
    class Failing(Photographs):
        def __getitem__(self, index):
            raise KeyError('gt_bboxes')

    with pytest.raises(BadFile, match=r"0\.png cannot be used: KeyError: 'gt_bboxes'"):
        CheckedDataset(Failing(tmp_path))[0]
    with pytest.raises(BadFile, match='none of the 6 samples can be used'):
        CheckedDataset(Failing(tmp_path), skip=6)[0]


def test_labels_that_say_nothing_stop_the_training_in_the_end(tmp_path, miniature):
    from mmengine.registry import DATASETS

    import mmvisattn.datasets  # noqa: F401
    pytest.importorskip('mmseg')
    for path in (miniature / 'images/training').iterdir():
        (tmp_path / path.name).symlink_to(path)
        with Image.open(path) as image:
            Image.new('L', image.size).save(tmp_path / f'{path.stem}.png')
    pipeline = [dict(type='mmseg.LoadImageFromFile'), dict(type='mmseg.LoadAnnotations'), dict(type='mmseg.PackSegInputs')]
    dataset = CheckedDataset(DATASETS.build(dict(
        type='mmvisattn.MiniatureDataset', data_root=str(tmp_path), pipeline=pipeline, ann_file='',
        data_prefix=dict(img_path='', seg_map_path=''))))
    with pytest.raises(BadFile, match=f'labels no pixel, as the {UNLABELLED - 1} samples before it'):
        for i in range(UNLABELLED):
            dataset[i % len(dataset)]


def test_the_training_tells_at_its_end_what_was_replaced(tmp_path):
    def run():
        loader = dict(batch_size=2, num_workers=0, dataset=CheckedDataset(Photographs(tmp_path, [1]), skip=1),
                      sampler=dict(type='mmvisattn.InfiniteSampler'),
                      batch_sampler=dict(type='mmvisattn.ResumableBatchSampler'))
        runner = toy_runner(tmp_path / 'run', train_dataloader=loader, log_level='INFO')
        runner.register_hook(ReplacedSamplesHook())
        runner.train()

    assert forked(run) == 0
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert f'1 samples could not be used, and were replaced: {tmp_path / "1.png"}' in log


def test_the_option_is_checked():
    assert count('3') == 3
    with pytest.raises(UsageError, match='--skip-bad -1'):
        count('-1')


@pytest.mark.fault('a truncated image')
def test_a_real_training_skips_and_stops(tmp_path, miniature):
    import shutil
    pytest.importorskip('mmseg')
    root = shutil.copytree(miniature, tmp_path / 'data')
    broken = sorted((root / 'images/training').iterdir())[1]
    broken.write_bytes(broken.read_bytes()[:1000])
    config = write_config(tmp_path / 'config.py', 'segmentation', workers=2)
    options = ['--work-dir', 'run', '--cfg-options', f'data_root={root}']
    assert end(begin(tmp_path, config, '--skip-bad', 1, *options)) == [0], output(tmp_path)[-3000:]
    assert f'replaced: {broken}' in output(tmp_path)
    assert end(begin(tmp_path, config, *options)) == [1]
    assert f'error: {broken} cannot be read' in output(tmp_path)
