"""The contract of every backbone, tested once for all families."""
import copy
import math
from collections import defaultdict

import pytest
import torch
from helpers.cases import BACKBONES, randomized
from helpers.uninitialized import Uninitialized
from mmengine.optim import build_optim_wrapper
from torch._subclasses import FakeTensorMode
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn.utils import prune

from mmvisattn.layers import chunks, fuse_conv_bn

SIZES = [(1, 1), (2, 3), (31, 33), (64, 64), (65, 97), (40, 130)]

every_backbone = pytest.mark.parametrize('case', BACKBONES.values(), ids=BACKBONES)


@every_backbone
def test_named_architectures(case):
    for arch, channels in case.archs.items():
        with Uninitialized():
            model = case.build_arch(arch).eval()
        with torch.inference_mode():
            assert tuple(x.shape[1] for x in model(torch.zeros(1, 3, 64, 64))) == channels
        assert tuple(model.out_channels) == channels


@every_backbone
@pytest.mark.parametrize('size', SIZES, ids=lambda size: f'{size[0]}x{size[1]}')
@pytest.mark.parametrize('training', [False, True], ids=['eval', 'train'])
def test_shapes_at_any_size(case, size, training):
    model = case.build().train(training)
    outputs = model(torch.randn(2, 3, *size))
    assert [tuple(x.shape) for x in outputs] == [
        (2, channels, *(math.ceil(case.first_side(side) * case.strides[0] / stride) for side in size))
        for channels, stride in zip(case.channels, case.strides)]
    assert all(x.isfinite().all() for x in outputs)
    assert all(x.is_contiguous() for x in outputs)  # other packages' operators may ignore strides: see to_contiguous


@every_backbone
def test_out_indices_choose_and_order(case):
    model, x = randomized(case.build()), torch.randn(1, 3, 64, 64)
    chosen = case.build(out_indices=(2, -len(case.channels))).eval()
    needed = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(chosen.unbuilt_names())}
    chosen.load_state_dict(needed)
    with torch.inference_mode():
        every = model(x)
        for output, expected in zip(chosen(x), (every[2], every[0])):
            torch.testing.assert_close(output, expected)


@every_backbone
@pytest.mark.parametrize('kwargs, named', [
    (dict(arch='enormous'), 'enormous'), (dict(arch=dict(depth=1)), 'depth'), (dict(out_indices=(9,)), 'out_indices'),
    (dict(out_indices=()), 'out_indices'), (dict(out_indices=3), 'out_indices=3'), (dict(frozen_stages=9), 'frozen_stages'),
    (dict(frozen_stages=-2), 'frozen_stages')], ids=lambda x: str(x))
def test_wrong_arguments_are_named(case, kwargs, named):
    with pytest.raises(ValueError, match=named):
        case.build(**kwargs)


@every_backbone
def test_batch_members_are_independent_in_eval(case):
    model, x = randomized(case.build()), torch.randn(3, 3, 65, 97)
    with torch.inference_mode():
        together, alone = model(x), model(x[1:2])
    for output, expected in zip(together, alone):
        torch.testing.assert_close(output[1:2], expected, atol=1e-4, rtol=1e-4)


@every_backbone
def test_forward_is_pure(case):
    model, x = randomized(case.build()), torch.randn(1, 3, 96, 80)
    before, attributes = copy.deepcopy(model.state_dict()), set(vars(model))
    x_before = x.clone()
    with torch.inference_mode():
        first = model(x)
        model(torch.randn(2, 3, 33, 50))
        again = model(x)
    for output, expected in zip(again, first):
        torch.testing.assert_close(output, expected, atol=0, rtol=0)
    assert set(vars(model)) == attributes
    torch.testing.assert_close(x, x_before, atol=0, rtol=0)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], atol=0, rtol=0)


@every_backbone
def test_backward_reaches_every_parameter_and_the_input(case):
    model, x = randomized(case.build(drop_path_rate=0.0)).train(), torch.randn(2, 3, 128, 128, requires_grad=True)
    sum((y * torch.randn_like(y)).sum() for y in model(x)).backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


@every_backbone
def test_checkpointed_activations_give_the_same_gradients_and_statistics(case):
    plain = randomized(case.build(drop_path_rate=0.0)).train()
    recomputing = case.build(drop_path_rate=0.0, with_cp=True).train()
    recomputing.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 64, 96)
    for model in (plain, recomputing):
        sum(y.square().mean() for y in model(x)).backward()
    for (name, p), q in zip(plain.named_parameters(), recomputing.parameters()):
        torch.testing.assert_close(p.grad, q.grad, msg=lambda text, name=name: f'{name}: {text}')
    for (name, b), c in zip(plain.named_buffers(), recomputing.buffers()):
        torch.testing.assert_close(b, c, msg=lambda text, name=name: f'{name}: {text}')  # updated once per batch


@every_backbone
def test_frozen_stages_stay(case):
    for stage in range(-1, case.num_stages + 1):
        model = case.build(frozen_stages=stage).train()
        frozen = {id(p) for modules in model.stage_modules()[:stage + 1] for m in modules for p in m.parameters()}
        assert all(p.requires_grad == (id(p) not in frozen) for p in model.parameters())
        before = copy.deepcopy(model.state_dict())
        model(torch.randn(2, 3, 64, 64))
        changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
        for modules in model.stage_modules()[:stage + 1]:
            for module in modules:
                assert not any(m.training for m in module.modules())
        owners = {name for name, buffer in model.named_buffers() if name in changed}
        frozen_buffers = {id(b) for modules in model.stage_modules()[:stage + 1] for m in modules for b in m.buffers()}
        assert not any(id(dict(model.named_buffers())[name]) in frozen_buffers for name in owners)
    assert not any(p.requires_grad for p in model.parameters())


@every_backbone
def test_drop_path_only_in_training(case):
    model, x = randomized(case.build(drop_path_rate=0.9)), torch.randn(4, 3, 64, 64)
    reference = case.build(drop_path_rate=0.0).eval()
    reference.load_state_dict(model.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(model(x)[-1], reference(x)[-1])
    dropping = [m for m in model.modules() if type(m).__name__ == 'DropPath']
    assert dropping and max(m.drop_prob for m in dropping) == pytest.approx(0.9)


@every_backbone
@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_autocast(case, dtype):
    model, x = randomized(case.build()), torch.randn(2, 3, 65, 97)
    with torch.inference_mode():
        exact = model(x)
        with torch.autocast('cpu', getattr(torch, dtype)):
            rounded = model(x)
    for output, expected in zip(rounded, exact):
        assert output.isfinite().all()
        assert (output.float() - expected).abs().mean() < 0.1 * expected.std()


@every_backbone
def test_builds_and_runs_on_the_meta_device(case):
    with torch.device('meta'):
        model, x = case.build(drop_path_rate=0.3).eval(), torch.randn(2, 3, 65, 97)
        assert [y.shape[1] for y in model(x)] == list(case.channels)
    filled = model.to_empty(device='cpu')
    real = randomized(case.build())
    filled.load_state_dict(real.state_dict(), assign=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        for output, expected in zip(filled(x), real(x)):
            torch.testing.assert_close(output, expected, atol=0, rtol=0)


@every_backbone
def test_runs_on_fake_tensors(case):
    with FakeTensorMode():
        outputs = case.build().eval()(torch.randn(1, 3, 65, 97))
    assert [y.shape[1] for y in outputs] == list(case.channels)


@every_backbone
def test_hooks_of_every_submodule_see_whole_maps_in_eval_mode(case, monkeypatch):
    """As often and as large as in training, where nothing is computed in chunks or folded."""
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 2**12)
    model, x = randomized(case.build()), torch.randn(1, 3, 96, 160)
    with torch.inference_mode():
        expected = model(x)
    called = {name: module for name, module in model.named_modules() if not isinstance(module, torch.nn.ModuleList)}
    seen = defaultdict(list)
    for name, module in called.items():
        module.register_forward_hook(
            lambda module, args, output, name=name: seen[name].append([y.shape for y in output]))
    with torch.inference_mode():
        hooked = model(x)
    assert not set(called) - set(seen)
    in_inference = dict(seen)
    seen.clear()
    model(x)
    assert in_inference == dict(seen)
    for output, plain in zip(hooked, expected):
        torch.testing.assert_close(output, plain, atol=1e-4, rtol=1e-4)


@every_backbone
def test_backward_hooks_of_every_submodule_fire_in_eval_mode(case):
    """Also of modules that take no tensor and of those that return several."""
    model, x = randomized(case.build()), torch.randn(1, 3, 96, 160, requires_grad=True)
    called = {name: module for name, module in model.named_modules() if not isinstance(module, torch.nn.ModuleList)}
    seen = set()
    for name, module in called.items():
        module.register_full_backward_hook(lambda module, grad_in, grad_out, name=name: seen.add(name))
    sum(y.square().sum() for y in model(x)).backward()
    assert not set(called) - seen


@every_backbone
def test_parametrizations_apply_in_eval_mode(case):
    model, x = randomized(case.build()), torch.randn(1, 3, 96, 160)
    with torch.inference_mode():
        before = model(x)[-1]
    for module in list(model.modules()):
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.utils.parametrize.register_parametrization(module, 'weight', torch.nn.Tanh())
    assert not torch.allclose(model(x)[-1], before)
    pruned = randomized(case.build())
    for module in list(pruned.modules()):
        if isinstance(module, torch.nn.Conv2d):
            prune.l1_unstructured(module, 'weight', amount=0.5)
    with torch.no_grad():
        for module in pruned.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight_mask.zero_()  # the pruning hook multiplies with it before each call
    assert pruned(x)[-1].isfinite().all()


@every_backbone
def test_averaged_models_predict_with_their_own_weights(case):
    """The EMAs of mmengine and torch write through ``.data``, in eval mode too; no cached value may become stale."""
    model, x = randomized(case.build()), torch.randn(1, 3, 96, 80)
    averaged = torch.optim.swa_utils.AveragedModel(model).eval()
    with torch.inference_mode():
        averaged(x)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    averaged.update_parameters(model)
    fresh = case.build().eval()
    fresh.load_state_dict(averaged.module.state_dict())
    with torch.inference_mode():
        for output, expected in zip(averaged(x), fresh(x)):
            torch.testing.assert_close(output, expected, atol=0, rtol=0)


@every_backbone
def test_an_empty_batch_gives_empty_maps(case):
    model = case.build().eval()
    with torch.inference_mode():
        one, none = model(torch.randn(1, 3, 65, 97)), model(torch.randn(0, 3, 65, 97))
    assert [tuple(y.shape) for y in none] == [(0, *y.shape[1:]) for y in one]
    assert [tuple(y.shape) for y in model(torch.randn(0, 3, 65, 97))] == [(0, *y.shape[1:]) for y in one]  # with gradients


@every_backbone
@pytest.mark.parametrize('x, named', [
    (torch.zeros(3, 64, 64), r'\(B, C, H, W\).*x\[None\]'), (torch.zeros(64, 64), r'\(B, C, H, W\)'),
    (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), 'uint8')], ids=['no batch', 'a matrix', 'bytes'])
def test_what_is_no_batch_of_images_is_explained(case, x, named):
    with pytest.raises(ValueError, match=named):
        case.build().eval()(x)


@every_backbone
def test_every_parameter_that_is_built_has_a_gradient(case):
    """So that DistributedDataParallel needs no ``find_unused_parameters``."""
    for last in range(len(case.channels)):
        model = case.build(out_indices=(last,), drop_path_rate=0.0).train()
        model(torch.randn(2, 3, 64, 96))[0].square().sum().backward()
        assert not [name for name, p in model.named_parameters() if p.grad is None]
        whole = case.build().state_dict()
        assert set(whole) - set(model.state_dict()) == {name for name in whole if name.startswith(model.unbuilt_names())}


@every_backbone
def test_learning_rates_fall_with_depth(case):
    model = torch.nn.Module()
    model.backbone, model.head = case.build(frozen_stages=0), torch.nn.Linear(3, 4)
    model.norm = torch.nn.LayerNorm(3)
    wrapper = build_optim_wrapper(model, dict(
        optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1), constructor='mmvisattn.LayerDecayOptimWrapperConstructor',
        paramwise_cfg=dict(layer_decay_rate=0.5, norm_decay_mult=0.0)))
    groups = {id(p): group for group in wrapper.param_groups for p in group['params']}
    layers = model.backbone.parameter_layers()
    assert set(layers) == {id(p) for p in model.backbone.parameters()}
    assert sorted(set(layers.values())) == list(range(max(layers.values()) + 1))
    for p in model.backbone.parameters():
        if p.requires_grad:
            assert groups[id(p)]['lr'] == pytest.approx(0.5**(max(layers.values()) + 1 - layers[id(p)]))
    for i, norm in model.backbone.output_norms().items():
        last = list(model.backbone.stages[i].blocks.parameters())[-1]
        assert all(layers[id(p)] == layers[id(last)] for p in norm.parameters())
    assert groups[id(model.head.weight)]['lr'] == 1.0 and groups[id(model.norm.weight)]['weight_decay'] == 0


def test_few_groups_give_the_same_weights():
    results, numbers = [], []
    for constructor in 'DefaultOptimWrapperConstructor', 'mmvisattn.GroupedOptimWrapperConstructor':
        torch.manual_seed(0)
        model = torch.nn.Module()
        model.backbone, model.head = BACKBONES['SMT'].build(drop_path_rate=0.0), torch.nn.Conv2d(64, 2, 1)
        wrapper = build_optim_wrapper(model, dict(
            optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1), constructor=constructor,
            paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys=dict(head=dict(lr_mult=10.0)))))
        for p in model.parameters():
            p.grad = torch.randn_like(p)
        wrapper.step()
        results.append([p.detach() for p in model.parameters()])
        numbers.append(len(wrapper.optimizer.param_groups))
    assert all(map(torch.equal, *results))
    assert numbers == [len(results[0]), 3]  # the head, norms, and all else


def test_a_shared_parameter_is_updated_once():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[1].weight = model[0].weight
    wrapper = build_optim_wrapper(model, dict(
        optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1), paramwise_cfg=dict(norm_decay_mult=0.0),
        constructor='mmvisattn.GroupedOptimWrapperConstructor'))
    assert [len(group['params']) for group in wrapper.optimizer.param_groups] == [3]  # a weight, two biases


@pytest.mark.parametrize('backbone, settings, named', [
    (torch.nn.Linear(2, 2), dict(layer_decay_rate=0.5), 'Linear'), (None, dict(norm_decay_mult=0.0), 'layer_decay_rate'),
    (None, None, 'layer_decay_rate'), (None, dict(layer_decay_rate=90), '90'),
    (None, dict(layer_decay_rate='0.9'), "'0.9'")])
def test_wrong_layer_decay_is_explained(backbone, settings, named):
    model = torch.nn.Module()
    model.backbone = backbone or BACKBONES['SMT'].build()
    with pytest.raises(ValueError, match=named):
        build_optim_wrapper(model, dict(
            optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1), paramwise_cfg=settings,
            constructor='mmvisattn.LayerDecayOptimWrapperConstructor'))


@pytest.fixture(scope='module')
def process_group(tmp_path_factory):
    """A gloo group with only this process."""
    path = tmp_path_factory.mktemp('group') / 'store'
    torch.distributed.init_process_group('gloo', init_method=f'file://{path}', rank=0, world_size=1)
    yield torch.distributed.device_mesh.init_device_mesh('cpu', (1,))
    torch.distributed.destroy_process_group()


@every_backbone
@pytest.mark.parametrize('training', [False, True], ids=['eval', 'train'])
def test_fully_sharded_in_bfloat16(case, training, process_group):
    plain = randomized(case.build(drop_path_rate=0.0)).train(training)
    model, x = copy.deepcopy(plain), torch.randn(2, 3, 96, 128)
    fully_shard(model, mesh=process_group, mp_policy=MixedPrecisionPolicy(
        param_dtype=torch.bfloat16, reduce_dtype=torch.float32))
    outputs = model(x)
    for output, expected in zip(outputs, plain(x)):
        assert output.dtype == torch.bfloat16 and output.isfinite().all()
        # Statistics of a batch of few values amplify the rounding.
        assert training or (output.float() - expected).abs().mean() < 0.2 * expected.std()
    if training:
        sum(output.float().square().mean() for output in outputs).backward()
        assert all(p.grad is not None for p in model.parameters())


# PyTorch's compiler takes long for the others.
compiled_backbones = pytest.mark.parametrize('case', [
    pytest.param(case, id=name, marks=[pytest.mark.slow] * (name != 'TopFormer')) for name, case in BACKBONES.items()])


# Coverage would follow the compiler's own code, for twice the time; what is compiled runs in other tests too.
@pytest.mark.no_cover
@compiled_backbones
def test_compiles_in_training_with_checkpointed_activations(case):
    torch._dynamo.reset()
    model = case.build_shortest(drop_path_rate=0.0, with_cp=True).train().double()
    plain = copy.deepcopy(model)
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    sum(y.square().mean() for y in plain(x)).backward()
    sum(y.square().mean() for y in torch.compile(model, backend='aot_eager', fullgraph=True)(x)).backward()
    for (name, p), q in zip(model.named_parameters(), plain.parameters()):
        torch.testing.assert_close(p.grad, q.grad, msg=lambda text, name=name: f'{name}: {text}')
    for (name, b), c in zip(model.named_buffers(), plain.buffers()):
        torch.testing.assert_close(b, c, msg=lambda text, name=name: f'{name}: {text}')


@pytest.mark.no_cover
@compiled_backbones
@pytest.mark.parametrize('backend, other_size, limits', [
    ('eager', (130, 96), {}),
    pytest.param('aot_eager', (130, 96), {}, marks=pytest.mark.slow),
    pytest.param('inductor', (96, 160), dict(atol=1e-3, rtol=1e-3), marks=pytest.mark.slow)],
    ids=['eager', 'aot_eager', 'inductor'])
def test_compiles_as_one_graph(case, backend, other_size, limits):
    """One graph for the first size and one for others, whatever the number of blocks."""
    torch._dynamo.reset()
    model = randomized(case.build_shortest())
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    counters = torch._dynamo.utils.counters
    counters.clear()
    for size in ((64, 64), other_size, (64, 64)):
        x = torch.randn(1, 3, *size)
        with torch.inference_mode():
            for output, expected in zip(compiled(x), model(x)):
                torch.testing.assert_close(output, expected, **limits)
    assert counters['stats']['unique_graphs'] == 2


@every_backbone
def test_state_dict_round_trip(case, tmp_path):
    model = randomized(case.build())
    torch.save(model.state_dict(), tmp_path / 'model.pth')
    other = case.build().eval()
    other.load_state_dict(torch.load(tmp_path / 'model.pth', weights_only=True), strict=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        for output, expected in zip(other(x), model(x)):
            torch.testing.assert_close(output, expected, atol=0, rtol=0)


@every_backbone
def test_fused_batch_norms_change_nothing(case):
    model, x = randomized(case.build()), torch.randn(1, 3, 65, 97)
    fused = fuse_conv_bn(copy.deepcopy(model))
    with torch.inference_mode():
        for output, expected in zip(fused(x), model(x)):
            torch.testing.assert_close(output, expected, atol=1e-4, rtol=1e-4)
    assert not any('BatchNorm' in type(m).__name__ for m in fused.modules())


@every_backbone
def test_initializes_reproducibly(case):
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        model = case.build()
        model.init_weights()
        states.append(model.state_dict())
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], atol=0, rtol=0)


def test_every_registered_backbone_has_a_case():
    from mmvisattn import models
    from mmvisattn.models.backbone import Backbone
    families = [getattr(models, name) for name in models.__all__]
    assert set(BACKBONES) == {cls.__name__ for cls in families if issubclass(cls, Backbone)}
