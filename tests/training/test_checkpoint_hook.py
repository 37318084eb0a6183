"""What has been saved is never lost: kills, errors and full disks at every moment of writing, renaming and deleting."""
import os
import resource
import signal
import time

import pytest
import torch
from helpers.faults import KILLED, Numbers, Reporter, ToyModel, fault, forked, full_disk, kill, start, toy_runner, wait_for
from mmengine.registry import HOOKS

from mmvisattn import read_checkpoints_safely
from mmvisattn.training.checkpoint_hook import CheckpointHook, NotSaved
from mmvisattn.training.resume import newest_checkpoint

# What one interval with a validation writes, renames and deletes once there are old files to delete: the functions of
# ``os`` called from the third iteration's checkpoint on.
POINTS = range(47, 77)  # 30 of them
QUICK = (55, 71)


def points(fault):
    """The moments of writing as a test's parameters; two of them are in the suite."""
    return [pytest.param(at, marks=[] if at in QUICK else pytest.mark.fault(fault)) for at in POINTS]


@pytest.fixture(autouse=True)
def imported():
    """So that forked processes have everything imported."""
    read_checkpoints_safely()
    HOOKS.build(dict(type='mmvisattn.CheckpointHook'))


def train(folder, at=0, action=kill, **settings):
    """Run a short training in a forked process with a fault; its exit status."""
    def run():
        runner = toy_runner(folder / 'run', **settings)
        runner.register_hook(Reporter(folder / 'report'))
        with fault(at, action, folder / 'run') as called:
            runner.train()
        (folder / 'called').write_text(' '.join(called))
    return forked(run)


def reported(folder):
    """The last iteration that ended."""
    lines = (folder / 'report').read_text().splitlines()  # none yet if the file has only been opened
    return int(lines[-1]) if lines else 0


def assert_whole(folder):
    """All files load, and there are as many as wanted."""
    run = folder / 'run'
    files = {path.name for path in run.glob('*.pth')}
    assert len(files) == 3 and len([name for name in files if name.startswith('best_')]) == 1, files
    assert not list(run.glob('.unfinished*'))
    for name in files:
        torch.load(run / name, weights_only=True)
    best = newest_checkpoint(run)[0]
    hub = torch.load(best.path, weights_only=True)['message_hub']['runtime_info']
    assert os.path.isfile(hub['best_ckpt']) and (run / 'last_checkpoint').read_text() == str(best.path)


def test_old_checkpoints_go_only_when_new_ones_stand(tmp_path):
    assert train(tmp_path) == 0
    assert_whole(tmp_path)
    called = (tmp_path / 'called').read_text().split()
    one = ['write', 'fsync', 'replace', 'fsync', 'unlink']
    assert called[:10] == 2 * one  # the checkpoint, then last_checkpoint
    assert called[POINTS[0] - 1:POINTS[-1]].count('remove') == 2 and called[POINTS[0] - 2] == 'remove'


@pytest.mark.parametrize('at', points('killed before a write, sync, rename or deletion'))
def test_kills_lose_nothing(tmp_path, at):
    """Kill at a moment of writing; go on; nothing is lost and nothing left over."""
    assert train(tmp_path, at) == KILLED
    found, passed_over = newest_checkpoint(tmp_path / 'run')
    assert not passed_over and found.iteration >= reported(tmp_path)
    assert os.path.isfile((tmp_path / 'run/last_checkpoint').read_text())
    assert train(tmp_path, resume=True, load_from=str(found.path)) == 0
    assert newest_checkpoint(tmp_path / 'run')[0].iteration == reported(tmp_path) == 6
    assert_whole(tmp_path)


@pytest.mark.parametrize('at', points('disk full at a write, sync, rename or deletion'))
def test_errors_lose_nothing(tmp_path, at):
    """The disk is full at a moment of writing: the training ends well, and what is saved later stands."""
    assert train(tmp_path, at, full_disk) == 0
    found, passed_over = newest_checkpoint(tmp_path / 'run')
    assert not passed_over and found.iteration == 6
    assert os.path.isfile((tmp_path / 'run/last_checkpoint').read_text())


def test_a_full_disk_is_told_and_the_next_interval_tries_again(tmp_path):
    """With a limit on the size of files, checkpoints of the iterations 3 to 5 do not fit."""
    class Limit(Reporter):
        def after_train_iter(self, runner, *args, **kwargs):
            super().after_train_iter(runner, *args, **kwargs)
            if runner.iter + 1 in (2, 5):
                size = 1000 if runner.iter + 1 == 2 else resource.RLIM_INFINITY
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            self.path.with_name('files').write_text(
                f'{sorted(path.name for path in self.path.with_name("run").glob("*.pth"))}\n')
            if runner.iter + 1 == 4:
                (self.path.with_name('during')).write_text(self.path.with_name('files').read_text())

    def run():
        runner = toy_runner(tmp_path / 'run')
        runner.register_hook(Limit(tmp_path / 'report'))
        runner.train()

    assert forked(run) == 0
    # The best one of iteration 2 could not be saved either.
    assert (tmp_path / 'during').read_text().strip() == "['iter_1.pth', 'iter_2.pth']"
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert 'iter_3.pth could not be saved: the file is larger than allowed. Everything saved before is kept' in log
    assert_whole(tmp_path)
    assert newest_checkpoint(tmp_path / 'run')[0].iteration == 6


@pytest.mark.fault('killed from outside while a file is written')
@pytest.mark.parametrize('delay', range(20))
def test_kills_from_outside_lose_nothing(tmp_path, delay):
    """SIGKILL while a temporary file is there, so in a moment of writing."""
    def run():
        runner = toy_runner(tmp_path / 'run', iterations=10**6, model=ToyModel(2**18))
        runner.register_hook(Reporter(tmp_path / 'report'))
        runner.train()

    process = start(run)
    try:
        wait_for(lambda: (tmp_path / 'report').is_file() and reported(tmp_path) > delay % 5)
        wait_for(lambda: list((tmp_path / 'run').glob('.unfinished*')))
        time.sleep(delay / 20 * 0.02)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    found, passed_over = newest_checkpoint(tmp_path / 'run')
    assert not passed_over and found.iteration >= reported(tmp_path)
    assert os.path.isfile((tmp_path / 'run/last_checkpoint').read_text())
    hub = torch.load(found.path, weights_only=True)['message_hub']['runtime_info']
    assert os.path.isfile(hub.get('best_ckpt', found.path))


def test_processes_that_resumed_differently_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr('mmvisattn.training.checkpoint_hook.all_gather_object', lambda own: [own, own + 1])
    with pytest.raises(RuntimeError, match=r'different iterations: \[0, 1\]'):
        CheckpointHook().before_train(toy_runner(tmp_path / 'run'))


def limit_files(size=resource.RLIM_INFINITY):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class FullAtTheEnd(Reporter):
    """Lets no file be larger than ``size`` when the last of six iterations is saved; there is room again afterwards."""

    def __init__(self, path, size, has_room_again):
        super().__init__(path)
        self.size, self.has_room_again = size, has_room_again

    def before_train_iter(self, runner, *args, **kwargs):
        if runner.iter == 5:
            limit_files(self.size)

    def after_val(self, runner):
        if self.has_room_again:
            limit_files()


@pytest.mark.parametrize('has_room_again', [True, False])
def test_the_end_of_a_training_is_saved_or_an_error(tmp_path, has_room_again):
    def run():
        runner = toy_runner(tmp_path / 'run')
        runner.register_hook(FullAtTheEnd(tmp_path / 'report', 1000, has_room_again))
        try:
            runner.train()
        except NotSaved as error:
            limit_files()
            (tmp_path / 'error').write_text(str(error))

    assert forked(run) == 0
    assert newest_checkpoint(tmp_path / 'run')[0].iteration == (6 if has_room_again else 5)
    assert has_room_again or 'iter_6.pth could not be saved, so the end of this' in (tmp_path / 'error').read_text()


def test_the_best_checkpoint_of_another_folder_is_kept(tmp_path):
    assert train(tmp_path) == 0
    before = {path.name for path in (tmp_path / 'run').glob('*.pth')}

    def run():
        toy_runner(tmp_path / 'other', 10, resume=True, load_from=str(tmp_path / 'run/iter_6.pth')).train()

    assert forked(run) == 0
    assert before == {path.name for path in (tmp_path / 'run').glob('*.pth')}
    assert {path.name for path in (tmp_path / 'other').glob('best*')} == {'best_toy_score_iter_10.pth'}


@pytest.mark.parametrize('accumulated', [1, 2])
def test_epochs_that_end_between_updates(tmp_path, accumulated):
    """Accumulated gradients are not saved: what is resumed after the next update is the same training."""
    settings = dict(
        model=ToyModel(dropout=0.0),
        train_cfg=dict(type='mmvisattn.EpochBasedTrainLoop', max_epochs=3, val_interval=1),
        train_dataloader=dict(batch_size=4, num_workers=0, dataset=Numbers(),
                              sampler=dict(type='DefaultSampler', shuffle=True),
                              batch_sampler=dict(type='mmvisattn.ResumableBatchSampler')),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1), accumulative_counts=accumulated),
        default_hooks=dict(checkpoint=dict(type='mmvisattn.CheckpointHook', by_epoch=True, interval=1, save_best='toy/score',
                                           rule='greater')))
    assert forked(lambda: toy_runner(tmp_path / 'run', **settings).train()) == 0
    whole = {path.name: torch.load(path, weights_only=True) for path in (tmp_path / 'run').glob('[!b]*.pth')}
    batches = next(iter(whole.values()))['message_hub']['runtime_info']['batches_per_epoch']
    assert batches % 2
    first = 'epoch_1.pth' if accumulated == 1 else f'iter_{batches + 1}.pth'
    assert first in whole and 'epoch_3.pth' in whole

    def run():
        toy_runner(tmp_path / 'other', resume=True, load_from=str(tmp_path / 'run' / first), **settings).train()

    assert forked(run) == 0
    resumed = torch.load(tmp_path / 'other/epoch_3.pth', weights_only=True)
    for name, tensor in whole['epoch_3.pth']['state_dict'].items():
        assert torch.equal(tensor, resumed['state_dict'][name]), name


def test_an_epoch_of_another_length_begins_anew(tmp_path):
    def settings(batch_size):
        return dict(
            train_cfg=dict(type='mmvisattn.EpochBasedTrainLoop', max_epochs=2, val_interval=5),
            train_dataloader=dict(batch_size=batch_size, num_workers=0, dataset=Numbers(),
                                  sampler=dict(type='DefaultSampler', shuffle=False),
                                  batch_sampler=dict(type='mmvisattn.ResumableBatchSampler')),
            default_hooks=dict(checkpoint=dict(type='mmvisattn.CheckpointHook', by_epoch=True, interval=1)))

    assert forked(lambda: toy_runner(tmp_path / 'run', **settings(2)).train()) == 0
    first = str(tmp_path / 'run/epoch_1.pth')
    batches = torch.load(first, weights_only=True)['message_hub']['runtime_info']['batches_per_epoch']
    assert forked(lambda: toy_runner(tmp_path / 'other', resume=True, load_from=first, log_level='WARNING',
                                     **settings(3)).train()) == 0
    fewer = -(-2 * batches // 3)
    assert 'so the epoch begins anew' in next((tmp_path / 'other').glob('*/*.log')).read_text()
    assert torch.load(tmp_path / 'other/epoch_2.pth', weights_only=True)['meta']['iter'] == 2 * fewer
