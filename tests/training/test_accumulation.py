"""``--accumulate N``: the learning rate and the gradient of each update are those of a training with whole batches."""
import pytest
import torch
from helpers.faults import ToyModel, toy_runner
from mmengine.config import Config
from mmengine.hooks import Hook

from mmvisattn.cli.launching import accumulate_batches, batches, check_restarts
from mmvisattn.cli.usage import UsageError
from mmvisattn.training.accumulation import accumulate

SCHEDULES = {
    'poly after warm-up': [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=5),
                           dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=5, end=16)],
    'cosine': [dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False, begin=3, end=16)],
    'cosine to the end': [dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False, T_max=16)],
    'steps': [dict(type='MultiStepLR', milestones=[4, 9], by_epoch=False), dict(type='StepLR', step_size=3, by_epoch=False)],
    'restarts': [dict(type='CosineRestartLR', periods=[6, 10], restart_weights=[1, 0.5], eta_min=0.0, by_epoch=False)],
    'none': [],
}


class Rates(Hook):
    """The learning rate before each iteration."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, *args, **kwargs):
        self.seen += runner.optim_wrapper.get_lr()['lr']


def config(schedulers):
    return Config(dict(
        train_cfg=dict(type='mmvisattn.IterBasedTrainLoop', max_iters=16, val_interval=20, val_begin=1),
        train_dataloader=dict(batch_size=2), param_scheduler=schedulers,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)), auto_scale_lr=dict(base_batch_size=16),
        default_hooks=dict(checkpoint=dict(by_epoch=False, interval=4, save_begin=0), logger=dict(interval=50)),
        custom_hooks=[dict(type='EMAHook')]))


def rates(folder, cfg):
    runner = toy_runner(folder, train_cfg=cfg.train_cfg, param_scheduler=cfg.param_scheduler or None,
                        optim_wrapper=cfg.optim_wrapper, default_hooks=dict(checkpoint=None, logger=None))
    hook = Rates()
    runner.register_hook(hook)
    runner.train()
    return hook.seen


@pytest.mark.parametrize('name', SCHEDULES)
def test_the_learning_rate_of_each_image_is_equal(tmp_path, name):
    """At the first batch of each update; within the batches of an update the schedule goes on."""
    whole, parts = config(SCHEDULES[name]), config(SCHEDULES[name])
    accumulate(parts, 3)
    expected, seen = rates(tmp_path / 'whole', whole), rates(tmp_path / 'parts', parts)
    assert len(expected) == 16 and len(seen) == 48 and (len(set(expected)) > 2 or name == 'none')
    assert seen[::3] == pytest.approx(expected, rel=1e-12)


def test_everything_that_counts_iterations_is_rescaled():
    cfg = config([])
    cfg.train_dataloader.batch_sampler = dict(type='ProgressiveBatchSampler', schedule=[(0, 16, 2), (3, 24, 1)])
    cfg.train_cfg.dynamic_intervals = [(8, 2)]
    accumulate(cfg, 4)
    assert cfg.optim_wrapper.accumulative_counts == 4 and cfg.auto_scale_lr.base_batch_size == 4
    assert cfg.train_cfg == dict(type='mmvisattn.IterBasedTrainLoop', max_iters=64, val_interval=80, val_begin=4,
                                 dynamic_intervals=[[32, 8]])
    assert (cfg.default_hooks.checkpoint.interval, cfg.default_hooks.logger.interval) == (16, 200)
    assert cfg.custom_hooks[0].interval == 4
    assert cfg.train_dataloader.batch_sampler.schedule == [(0, 16, 2), (12, 24, 1)]


def test_epochs_stay_as_they_are():
    cfg = config([dict(type='MultiStepLR', milestones=[8, 11], by_epoch=True, begin=0, end=12)])
    cfg.train_cfg = dict(max_epochs=12, val_interval=1)
    cfg.default_hooks.checkpoint = dict(interval=1)
    before = cfg.to_dict()
    accumulate(cfg, 4)
    assert cfg.train_cfg.to_dict() == before['train_cfg'] and cfg.param_scheduler[0] == before['param_scheduler'][0]
    assert cfg.default_hooks.checkpoint.interval == 1


def test_what_cannot_be_rescaled_is_told():
    with pytest.raises(UsageError, match='--accumulate 2: ExponentialLR with by_epoch=False'):
        accumulate_batches(config([dict(type='ExponentialLR', gamma=0.9, by_epoch=False)]), 2)
    for text in ('0', '1.5', '-1'):
        with pytest.raises(UsageError, match=f'--accumulate {text}'):
            batches(text)


def test_weights_after_parts_are_those_after_whole_batches(tmp_path):
    """In double precision, without dropout: the mean of the gradients of two halves is the gradient of the whole."""
    weights = []
    for number in (1, 2):
        cfg = config([])
        accumulate(cfg, number)
        torch.manual_seed(0)
        runner = toy_runner(tmp_path / str(number), train_cfg=cfg.train_cfg, optim_wrapper=cfg.optim_wrapper,
                            default_hooks=dict(checkpoint=None, logger=None), model=ToyModel(dropout=0.0).double(),
                            batch_size=4 // number)
        runner.train()
        weights.append(runner.model.layer.weight)
    torch.manual_seed(0)
    assert (weights[0] - ToyModel().layer.weight).abs().max() > 0.01
    torch.testing.assert_close(*weights, rtol=0, atol=1e-12)


def test_restarts_need_resume(monkeypatch):
    check_restarts(None, 1.0)
    monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', '3')
    check_restarts('latest', None)
    for arguments, word in (((None, None), '--resume'), (('iter_1.pth', None), '--resume'), (('latest', 1.0), '--max-time')):
        with pytest.raises(UsageError, match=word):
            check_restarts(*arguments)
