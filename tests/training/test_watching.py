"""The log tells the speed, other tools show it, and a loss that is no number is explained."""
import os
import resource
import signal
import time

import pytest
import torch
from helpers.faults import Numbers, forked, toy_runner
from helpers.runs import scalars
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import nn

from mmvisattn.cli.usage import UsageError
from mmvisattn.cli.watching import ends_named, show_in
from mmvisattn.training.random_state import RandomStateHook
from mmvisattn.training.vis_backend import TensorboardVisBackend
from mmvisattn.training.watching import NonFiniteHook, ThroughputHook, plain


class Layers(BaseModel):
    """Two layers; the logarithm between them is not defined for negative numbers."""

    def __init__(self):
        super().__init__()
        self.first, self.inner = nn.Linear(4, 4), nn.ModuleDict(dict(log=Logarithm(), last=nn.Linear(4, 1)))

    def forward(self, inputs, mode='tensor'):
        values = self.inner['last'](self.inner['log'](self.first(inputs)))
        return dict(loss=values.mean()) if mode == 'loss' else [values]

    def val_step(self, data):
        return self(**data)


class Logarithm(nn.Module):
    def forward(self, values):
        return torch.nn.functional.dropout(values, 0.5).abs().log()  # of 0 where dropout has put it: minus infinity


class Dicts(Numbers):
    def __getitem__(self, index):
        return dict(inputs=self.values[index])


def runner_of(folder, model, *hooks, **settings):
    loader = dict(batch_size=2, num_workers=0, dataset=Dicts(), sampler=dict(type='mmvisattn.InfiniteSampler'),
                  batch_sampler=dict(type='mmvisattn.ResumableBatchSampler'), collate_fn=dict(type='default_collate'))
    runner = toy_runner(folder, model=model, train_dataloader=loader, val_dataloader=None, val_cfg=None, val_evaluator=None,
                        default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=1)), **settings)
    for hook in hooks:
        runner.register_hook(hook)
    return runner


def test_the_first_layer_is_named_and_the_batch_saved(tmp_path):
    runner = runner_of(tmp_path, Layers(), RandomStateHook(), NonFiniteHook())
    with pytest.raises(UsageError) as caught, ends_named():
        runner.train()
    text, number = str(caught.value), runner.iter + 1
    assert f'the loss of iteration {number} is ' in text and 'is in inner.log (Logarithm), whose output has' in text
    assert 'its input and its weights are finite' in text
    content = torch.load(tmp_path / f'nonfinite_iter_{number}_rank_0.pth', weights_only=True)
    assert content['iteration'] == number and content['batch']['inputs'].shape == (2, 4)
    assert all(torch.isfinite(parameter).all() for parameter in runner.model.parameters())  # the update was not made


def test_spoiled_weights_are_told(tmp_path):
    model = Layers()
    model.inner['log'] = nn.Identity()
    model.inner['last'].weight.data[0, 0] = float('nan')
    with pytest.raises(UsageError, match=r'inner\.last \(Linear\).*its weight is not finite, so an earlier update'), \
            ends_named():
        runner_of(tmp_path, model, NonFiniteHook()).train()


def test_patience_waits_for_several_in_a_row(tmp_path):
    model = Layers()
    model.inner['last'].bias.data[:] = float('inf')
    runner = runner_of(tmp_path, model, NonFiniteHook(patience=3))
    with pytest.raises(UsageError, match='the loss of iteration 3 is'), ends_named():
        runner.train()


def test_batches_are_saved_as_plain_data():
    sample = BaseDataElement(boxes=torch.ones(2), metainfo=dict(img_path='a.jpg', shape=(1, 2), odd={1}))
    assert plain(dict(x=[sample], y=None)) == dict(
        x=[dict(boxes=sample.boxes, img_path='a.jpg', shape=[1, 2], odd='{1}')], y=None)


def test_speed_is_logged(tmp_path):
    def run():
        model = Layers()
        model.inner['log'] = nn.Identity()
        runner_of(tmp_path, model, ThroughputHook()).train()

    assert forked(run) == 0
    speeds = [record.get('images_per_second') for record in scalars(tmp_path)]
    assert len(speeds) == 6 and all(speed > 0 for speed in speeds[1:])
    assert all('data_time' in record and 'time' in record for record in scalars(tmp_path))


def config():
    return Config(dict(visualizer=dict(type='Visualizer', vis_backends=[dict(type='mmvisattn.LocalVisBackend')])))


def test_tensorboard_shows_the_numbers(tmp_path):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    cfg = config()
    show_in(cfg, ['tensorboard'])
    show_in(cfg, ['tensorboard'])
    assert [backend.type for backend in cfg.visualizer.vis_backends] == [
        'mmvisattn.LocalVisBackend', 'TensorboardVisBackend']

    def run():
        model = Layers()
        model.inner['log'] = nn.Identity()
        runner_of(tmp_path, model, ThroughputHook(), visualizer=cfg.visualizer).train()

    assert forked(run) == 0
    file, = tmp_path.rglob('events.out.tfevents.*')
    events = accumulator.EventAccumulator(str(file)).Reload()
    written = [(event.step, event.value) for event in events.Scalars('loss')]
    expected = [(record['step'], record['loss']) for record in scalars(tmp_path)]
    assert [step for step, _ in written] == [step for step, _ in expected] == [1, 2, 3, 4, 5, 6]
    assert [value for _, value in written] == pytest.approx([value for _, value in expected], rel=1e-6)
    assert 'images_per_second' in events.Tags()['scalars']


def test_a_full_disk_does_not_stop_tensorboard(tmp_path):
    pytest.importorskip('tensorboard')

    def run():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        backend = TensorboardVisBackend(str(tmp_path))
        for step in range(200):
            backend.add_scalar('loss', float(step), step)
            if step % 50 == 0:
                time.sleep(0.1)  # the numbers are written by a thread
        backend.close()

    assert forked(run) == 0


def test_a_killed_worker_is_told_with_the_way_out():
    class Killing(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(UsageError, match='often the memory was full: try fewer workers'), ends_named():
        list(torch.utils.data.DataLoader(Killing(), num_workers=1))


def test_what_is_missing_is_told(monkeypatch):
    monkeypatch.setattr('mmvisattn.cli.watching.find_spec', lambda name: None)
    with pytest.raises(UsageError, match='--vis wandb needs the package wandb: pip install wandb'):
        show_in(config(), ['wandb'])
    monkeypatch.undo()
    with pytest.raises(UsageError, match='needs visualizer='):
        show_in(Config(dict()), ['tensorboard'])
