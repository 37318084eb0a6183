"""The contract of what stands behind a backbone, and of the networks that restore images."""
import copy

import pytest
import torch
from helpers.cases import randomized
from mmengine.registry import MODELS
from torch import nn
from torch._subclasses import FakeTensorMode

CHANNELS = [8, 16, 24]


def maps(channels, batch_size, strides=(1, 2, 4)):
    return [torch.randn(batch_size, dims, 24 // stride, 32 // stride) for dims, stride in zip(channels, strides)]


# The arguments of each part, and its inputs for a batch of so many images.
PARTS = {
    'SemanticInjection': (
        dict(in_channels=CHANNELS, out_channels=16), lambda n: maps([*CHANNELS, sum(CHANNELS)], n, (1, 2, 4, 8))),
    'SemanticInjection that extracts': (
        dict(in_channels=CHANNELS, out_channels=16, semantics_extractor=dict(num_heads=2)), lambda n: maps(CHANNELS, n)),
    'MDTANeck': (dict(in_channels=CHANNELS, num_heads=2), lambda n: maps(CHANNELS, n)),
    'SimpleHead': (
        dict(in_channels=[16] * 3, in_index=[0, 1, 2], channels=16, num_classes=5, norm_cfg=dict(type='BN')),
        lambda n: maps([16] * 3, n)),
    'Restormer': (
        dict(embed_dims=8, depths=(1, 1, 1, 1), num_refinement_blocks=1, num_heads=(1, 2, 2, 4)),
        lambda n: torch.randn(n, 3, 24, 32)),
    'DnCNN': (dict(dims=8, depth=4), lambda n: torch.randn(n, 3, 24, 32)),
    'DnCNN without batch norm': (dict(dims=8, depth=4, batch_norm=False), lambda n: torch.randn(n, 3, 24, 32)),
}


@pytest.fixture(params=PARTS)
def part(request):
    settings, inputs = PARTS[request.param]
    settings = dict(settings, type='mmvisattn.' + request.param.split()[0])
    if 'SemanticInjection' in request.param:
        settings['injected_levels'] = (0, 1, 2)
    return lambda: MODELS.build(settings), inputs


def listed(outputs):
    return [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)


def called_modules(model):
    """All modules but containers, and what mmseg's heads keep for their losses."""
    return {name: module for name, module in model.named_modules()
            if not isinstance(module, nn.ModuleList) and not name.startswith('loss')}


def test_builds_and_runs_on_the_meta_device(part):
    build, inputs = part
    with torch.device('meta'):
        model = build().eval()
        on_meta = listed(model(inputs(2)))
    filled, real, x = model.to_empty(device='cpu'), randomized(build()), inputs(2)
    filled.load_state_dict(real.state_dict(), assign=True)
    for output, expected, shaped in zip(listed(filled(x)), listed(real(x)), on_meta, strict=True):
        assert output.shape == shaped.shape
        torch.testing.assert_close(output, expected, atol=0, rtol=0)


def test_runs_on_fake_tensors(part):
    build, inputs = part
    with FakeTensorMode():
        assert listed(build().eval()(inputs(2)))


def test_hooks_of_every_submodule_fire_in_eval_mode(part):
    build, inputs = part
    model, x = randomized(build()), inputs(2)
    expected = listed(model(x))
    forward, backward = set(), set()
    modules = called_modules(model)
    for name, module in modules.items():
        module.register_forward_hook(lambda module, args, output, name=name: forward.add(name))
        module.register_full_backward_hook(lambda module, grad_in, grad_out, name=name: backward.add(name))
    for map_ in listed(x):
        map_.requires_grad_()
    outputs = listed(model(x))
    sum(y.square().sum() for y in outputs).backward()
    assert forward == backward == set(modules)
    for output, plain in zip(outputs, expected, strict=True):
        torch.testing.assert_close(output, plain, atol=1e-4, rtol=1e-4)


def test_averaged_models_predict_with_their_own_weights(part):
    build, inputs = part
    model, x = randomized(build()), inputs(2)
    averaged = torch.optim.swa_utils.AveragedModel(model).eval()
    with torch.inference_mode():
        averaged(x)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    averaged.update_parameters(model)
    fresh = copy.deepcopy(averaged.module)
    for output, expected in zip(listed(averaged(x)), listed(fresh(x)), strict=True):
        torch.testing.assert_close(output, expected, atol=0, rtol=0)


def test_an_empty_batch_gives_empty_maps(part):
    build, inputs = part
    model = build().eval()
    shapes = [(0, *y.shape[1:]) for y in listed(model(inputs(1)))]
    assert [tuple(y.shape) for y in listed(model(inputs(0)))] == shapes


def test_every_parameter_has_a_gradient(part):
    """So that DistributedDataParallel needs no ``find_unused_parameters``."""
    build, inputs = part
    model = build().train()
    sum(y.square().sum() for y in listed(model(inputs(2)))).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
