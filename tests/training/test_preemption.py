"""Trainings that stop and save by the clock."""
import os
import signal
import time

import pytest
from helpers.faults import forked, toy_runner
from mmengine.config import Config

from mmvisattn import read_checkpoints_safely
from mmvisattn.cli.resume import duration, minutes, save_by_time, seed, set_randomness
from mmvisattn.cli.usage import UsageError
from mmvisattn.training.checkpoint_hook import CheckpointHook
from mmvisattn.training.preemption import STOPPED, PreemptionHook, end_at_signals, seconds
from mmvisattn.training.resume import newest_checkpoint


def checkpoint(**settings):
    return dict(checkpoint=dict(dict(type='mmvisattn.CheckpointHook', by_epoch=False), **settings))


def test_the_time_limit_saves_and_ends(tmp_path):
    def run():
        runner = toy_runner(tmp_path, 10**6, default_hooks=checkpoint(), log_level='INFO')
        runner.register_hook(PreemptionHook(max_time=0.01))
        time.sleep(0.01)
        runner.train()

    assert forked(run) == STOPPED
    read_checkpoints_safely()
    assert newest_checkpoint(tmp_path)[0].iteration == 1
    assert 'the time limit asks to stop: saved after 1 iterations' in next(tmp_path.glob('*/*.log')).read_text()


def test_checkpoints_by_time(tmp_path):
    hooks = checkpoint(minutes=1e-9, save_last=False, max_keep_ckpts=2)
    assert forked(lambda: toy_runner(tmp_path, 4, default_hooks=hooks).train()) == 0
    assert {path.name for path in tmp_path.glob('*.pth')} == {'iter_3.pth', 'iter_4.pth'}
    with pytest.raises(ValueError, match='minutes=0'):
        CheckpointHook(minutes=0)


def test_accumulated_gradients_are_waited_for(tmp_path):
    """They are not saved, so a checkpoint has to wait for the update."""
    optimizer = dict(optimizer=dict(type='SGD', lr=0.1), accumulative_counts=3)
    hooks = checkpoint(interval=2)
    assert forked(lambda: toy_runner(tmp_path, 7, default_hooks=hooks, optim_wrapper=optimizer).train()) == 0
    assert {path.name for path in tmp_path.glob('*.pth')} == {'iter_3.pth', 'iter_6.pth', 'iter_7.pth'}


def test_without_the_checkpoint_hook_it_cannot_stop(tmp_path):
    runner = toy_runner(tmp_path, default_hooks=dict(checkpoint=None))
    with pytest.raises(RuntimeError, match='needs default_hooks'):
        PreemptionHook()._stop(runner, 1)


@pytest.mark.parametrize('text, expected', [
    ('1-11:30:00', 127800), ('11:30:00', 41400), ('30:00', 1800), ('90', 90), ('0:0:1.5', 1.5)])
def test_times_are_read(text, expected):
    assert seconds(text) == duration(text) == expected


@pytest.mark.parametrize('read, text', [
    (duration, 'soon'), (duration, '1:2:3:4'), (duration, '0'), (duration, '-1'),
    (duration, '1-12'), (duration, 'inf'), (duration, '1e20'), (minutes, '0'), (minutes, 'x'),
    (minutes, 'inf'), (seed, '-1'), (seed, '1.5'), (seed, '2147483648')])
def test_wrong_options_are_told(read, text):
    with pytest.raises(UsageError, match=text):
        read(text)


def test_signals_before_the_training_end_it_at_once(tmp_path):
    def run():
        end_at_signals()
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(60)

    assert forked(run) == STOPPED


def test_times_need_the_checkpoint_hook():
    cfg = Config(dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook'))))
    save_by_time(cfg, 15.0, None)
    assert cfg.default_hooks.checkpoint.minutes == 15
    for option, times in (('--max-time', (None, 1.0)), ('--checkpoint-minutes', (1.0, None))):
        with pytest.raises(UsageError, match=option):
            save_by_time(Config(dict(default_hooks=dict())), *times)


def test_seed_and_deterministic(monkeypatch):
    monkeypatch.delenv('CUBLAS_WORKSPACE_CONFIG', raising=False)
    cfg = Config(dict(randomness=dict(seed=0), env_cfg=dict(cudnn_benchmark=True)))
    set_randomness(cfg, None, False)
    assert cfg.randomness == dict(seed=0) and cfg.env_cfg.cudnn_benchmark
    set_randomness(cfg, 7, True)
    assert cfg.randomness == dict(seed=7, deterministic=True) and not cfg.env_cfg.cudnn_benchmark
