"""Which checkpoint a training goes on from, and what is said of the others."""
import os
import zipfile

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from mmvisattn.cli.resume import changed_settings, go_on
from mmvisattn.cli.usage import UsageError
from mmvisattn.training.config import FLOAT16_PATIENCE, surviving
from mmvisattn.training.resume import newest_checkpoint
from mmvisattn.training.vis_backend import LocalVisBackend
from mmvisattn.weights.inert import HISTORY_TYPES, readable


def save(path, iteration, **changes):
    """A checkpoint as of mmengine; the later ones are newer."""
    content = dict(dict(meta=dict(epoch=0, iter=iteration, seed=3), state_dict=dict(weight=torch.ones(100)),
                        message_hub=dict(log_scalars=dict(loss=HistoryBuffer([1.0], [1]))), optimizer={}), **changes)
    torch.save({name: part for name, part in content.items() if part is not None}, path)
    os.utime(path, (iteration, iteration))


def damage(path, at, content=b'?'):
    """Overwrite a byte; the file stays as old as it is."""
    stat = path.stat()
    with path.open('r+b') as file:
        file.seek(at)
        file.write(content)
    os.utime(path, (stat.st_atime, stat.st_mtime))


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / 'iter_8.pth', 8)
    save(tmp_path / 'iter_9.pth', 9)
    save(tmp_path / 'iter_12.pth', 12)
    (tmp_path / 'best_mIoU_iter_12.pth').write_text('')
    (tmp_path / '.unfinished-1-iter_13.pth').write_text('')
    return tmp_path


def test_the_newest_is_taken(folder):
    found, passed_over = newest_checkpoint(folder)
    assert (found.path, found.epoch, found.iteration, found.seed) == (folder / 'iter_12.pth', 0, 12, 3) and not passed_over
    os.utime(folder / 'iter_9.pth', (20, 20))  # a training that was begun again
    assert newest_checkpoint(folder)[0].iteration == 9


def value_at(path):
    """Where in a file its weights are."""
    with zipfile.ZipFile(path) as file:
        entry = next(entry for entry in file.infolist() if entry.filename.endswith('data/0'))
    return path.read_bytes().index(b'\x00\x00\x80?' * 10, entry.header_offset)


@pytest.mark.parametrize('reason, harm', [
    ('it is empty', lambda path: os.truncate(path, 0)),
    ('it is cut off', lambda path: os.truncate(path, path.stat().st_size // 2)),
    ('wrong checksum', lambda path: damage(path, value_at(path))),
    ('it holds no optimizer', lambda path: save(path, 12, optimizer=None)),
    ('does not say at which iteration', lambda path: save(path, 12, meta=dict(epoch=0))),
    ('it holds code (posix.system), which is never run', lambda path: save(path, 12, code=os.system)),
    ('it is no checkpoint of a training', lambda path: torch.save([1], path)),
])
def test_what_does_not_load_is_passed_over(folder, reason, harm):
    harm(folder / 'iter_12.pth')
    os.utime(folder / 'iter_12.pth', (12, 12))
    found, passed_over = newest_checkpoint(folder)
    assert found.iteration == 9 and [path.name for path, _ in passed_over] == ['iter_12.pth']
    assert reason in passed_over[0][1]


def test_the_noted_folder_is_searched(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    (elsewhere / 'last_checkpoint').write_text(str(folder / 'iter_9.pth'))
    assert newest_checkpoint(elsewhere)[0].iteration == 12
    (elsewhere / 'last_checkpoint').write_bytes(b'\xff')
    assert newest_checkpoint(elsewhere) == (None, [])


def note(folder, text, time):
    (folder / 'last_checkpoint').write_text(text)
    os.utime(folder / 'last_checkpoint', (time, time))


def test_the_order_does_not_hang_on_the_times_of_a_copy(folder):
    note(folder, str(folder / 'iter_12.pth'), 30)
    for time, name in enumerate(('iter_12.pth', 'iter_8.pth', 'iter_9.pth'), start=20):  # copied in this order
        os.utime(folder / name, (time, time))
    assert newest_checkpoint(folder)[0].iteration == 12
    os.truncate(folder / 'iter_12.pth', 10)
    assert newest_checkpoint(folder)[0].iteration == 9


def test_what_was_saved_after_the_note_is_newer(folder):
    """A kill came before ``last_checkpoint``. But later iterations of an earlier training are not newer."""
    note(folder, str(folder / 'iter_9.pth'), 9)
    assert newest_checkpoint(folder)[0].iteration == 12
    os.utime(folder / 'iter_12.pth', (5, 5))
    assert newest_checkpoint(folder)[0].iteration == 9


def test_batches_that_were_saved_are_no_checkpoints(folder):
    save(folder / 'nonfinite_iter_13_rank_0.pth', 13)
    assert newest_checkpoint(folder)[0].iteration == 12 and not newest_checkpoint(folder)[1]


@pytest.mark.parametrize('spoil', [
    lambda path: path.write_text('x' * 5000), lambda path: path.write_text(''), lambda path: path.mkdir(), os.mkfifo],
    ids=['long', 'empty', 'folder', 'fifo'])
def test_a_spoiled_note_is_passed_over(folder, spoil):
    spoil(folder / 'last_checkpoint')
    assert newest_checkpoint(folder)[0].iteration == 12


def test_averaged_weights_need_the_hook(folder):
    save(folder / 'iter_14.pth', 14, ema_state_dict=dict(weight=torch.ones(1)))
    with pytest.raises(UsageError, match='iter_14.pth averages its weights, this one does not.*give the same --ema'):
        go_on(Config(dict(work_dir=str(folder))), 'latest')
    cfg = Config(dict(work_dir=str(folder), custom_hooks=[dict(type='EMAHook')]))
    assert 'after 14 iterations' in go_on(cfg, 'latest')[0]


def test_another_accumulation_is_an_error(folder):
    save(folder / 'iter_14.pth', 14, meta=dict(epoch=0, iter=14, seed=3, cfg='optim_wrapper = dict(accumulative_counts=2)'))
    with pytest.raises(UsageError, match='iter_14.pth updates the weights after 2 batches, this one after 1'):
        go_on(Config(dict(work_dir=str(folder))), 'latest')
    cfg = Config(dict(work_dir=str(folder), optim_wrapper=dict(accumulative_counts=2)))
    assert 'after 14 iterations' in go_on(cfg, 'latest')[0]


def test_the_config_goes_on(folder, tmp_path_factory):
    cfg = Config(dict(work_dir=str(folder)))
    assert go_on(cfg, 'latest') == [f'goes on from {folder}/iter_12.pth, after 12 iterations']
    assert cfg.resume and cfg.load_from == str(folder / 'iter_12.pth')
    empty = Config(dict(work_dir=str(tmp_path_factory.mktemp('empty')), load_from='pretrained.pth'))
    assert 'from the beginning' in go_on(empty, 'latest')[0]
    assert not empty.resume and empty.load_from == 'pretrained.pth'
    for path in folder.glob('iter*'):
        os.truncate(path, 10)
    with pytest.raises(UsageError, match='none of the 3 checkpoints .* loads .*cut off'):
        go_on(cfg, 'latest')
    with pytest.raises(UsageError, match='cannot go on from .*iter_8.pth: it is cut off'):
        go_on(cfg, str(folder / 'iter_8.pth'))


def test_a_full_disk_does_not_stop_the_log(tmp_path):
    """The numbers go nowhere: their file is a folder."""
    backend = LocalVisBackend(str(tmp_path))
    backend.experiment  # noqa: B018  makes the folder
    (tmp_path / 'scalars.json').mkdir()
    backend.add_scalar('loss', 1.0)
    backend.add_scalars(dict(loss=1.0))


def test_parts_of_mmengine_are_replaced():
    cfg = Config(dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=3)),
                      visualizer=dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='WandbVisBackend')])))
    new = surviving(cfg)
    assert new.default_hooks.checkpoint == dict(type='mmvisattn.CheckpointHook', interval=3)
    assert [backend.type for backend in new.visualizer.vis_backends] == ['mmvisattn.LocalVisBackend', 'WandbVisBackend']
    assert cfg.default_hooks.checkpoint.type == 'CheckpointHook'
    assert [hook.type.removeprefix('mmvisattn.') for hook in new.custom_hooks] == [
        'RandomStateHook', 'ReplacedSamplesHook', 'ThroughputHook', 'NonFiniteHook', 'PreemptionHook']
    half = Config(dict(cfg.to_dict(), optim_wrapper=dict(type='AmpOptimWrapper', dtype='float16')))
    assert [surviving(one).custom_hooks[3].patience for one in (cfg, half)] == [1, FLOAT16_PATIENCE]


def loading(sampler, **loader):
    return Config(dict(train_cfg=dict(by_epoch=True, max_epochs=2), train_dataloader=dict(
        dataset=dict(type='Data'), batch_size=2, sampler=dict(type=sampler), **loader)))


def test_batches_become_resumable():
    cfg = surviving(loading('DefaultSampler', drop_last=True, batch_sampler=dict(type='AspectRatioBatchSampler')), 60.0)
    assert cfg.train_cfg == dict(type='mmvisattn.EpochBasedTrainLoop', max_epochs=2)
    assert cfg.train_dataloader == dict(
        batch_size=2, dataset=dict(type='mmvisattn.SeededDataset', dataset=dict(
            type='mmvisattn.CheckedDataset', dataset=dict(type='Data'), skip=0)),
        sampler=dict(type='DefaultSampler'), batch_sampler=dict(
            type='mmvisattn.ResumableBatchSampler', batch_sampler=dict(type='AspectRatioBatchSampler'), drop_last=True))
    assert surviving(cfg).to_dict() == cfg.to_dict()  # the config that a run has written can be trained again
    other = loading('MultiSourceSampler')
    assert surviving(other).train_dataloader.sampler == other.train_dataloader.sampler
    assert surviving(other).train_cfg == other.train_cfg


def test_readable_types_stay_if_they_were_readable_before():
    with readable(HISTORY_TYPES):
        with readable(HISTORY_TYPES):
            pass
        assert HISTORY_TYPES[0] in torch.serialization.get_safe_globals()


def test_types_that_a_config_imports_are_no_changed_settings(tmp_path):
    """mmengine writes their names."""
    config = tmp_path / 'config.py'
    config.write_text("from torch.optim import AdamW\nmodel = dict(type='X')\n"
                      'optim_wrapper = dict(optimizer=dict(type=AdamW, lr=1e-3, betas=(0.9, 0.99)))\n')
    folder = tmp_path / 'run'
    folder.mkdir()
    Config.fromfile(config).dump(folder / 'config.py')
    assert changed_settings(folder, Config.fromfile(config)) == ''
    config.write_text(config.read_text().replace('1e-3', '2e-3'))
    assert changed_settings(folder, Config.fromfile(config)) == 'optim_wrapper.optimizer.lr (0.001 before, 0.002 now)'
