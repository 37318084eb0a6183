"""Official checkpoints in all their published forms, and everything that must be refused."""
import logging

import pytest
import torch
from helpers import golden
from mmengine.registry import MODELS, DefaultScope

from mmvisattn.models import TopFormer
from mmvisattn.weights import load_official
from mmvisattn.without_torchvision import import_mmpretrain

IMAGENET = {name: tensor for name, tensor in golden.checkpoint(golden.read('topformer_t')).items()
            if not name.startswith('SIM.')}
CLASSIFIER = {'head.weight': torch.zeros(1000, 96), 'head.bias': torch.zeros(1000)}


def segmentor():
    pytest.importorskip('mmseg')
    return MODELS.build(dict(
        type='mmseg.EncoderDecoder',
        backbone=dict(type='mmvisattn.TopFormer'),
        neck=dict(type='mmvisattn.SemanticInjection'),
        decode_head=dict(type='mmvisattn.SimpleHead', in_channels=[128] * 3, in_index=[0, 1, 2], channels=128,
                         depthwise=True, num_classes=150, norm_cfg=dict(type='BN'))))


def published_segmentor():
    """A whole segmentor as the authors' code saves it."""
    return golden.checkpoint(golden.read('topformer_segmentor_t'))


@pytest.mark.parametrize('wrap', [
    lambda state: state,
    lambda state: dict(model=state),
    lambda state: dict(state_dict=state, epoch=3),
    lambda state: dict(state_dict_ema=state),
    lambda state: dict(params=state),
    lambda state: {f'module.{name}': tensor for name, tensor in state.items()},
    lambda state: dict(model={f'module.backbone.{name}': tensor for name, tensor in state.items()}),
], ids=['plain', 'model', 'state_dict', 'state_dict_ema', 'params', 'module.', 'module.backbone.'])
def test_wrappers_and_prefixes(wrap, tmp_path):
    torch.save(wrap(IMAGENET), tmp_path / 'official.pth')
    model = TopFormer()
    report = load_official(model, tmp_path / 'official.pth')
    assert len(report.loaded) == len(model.state_dict()) == len(IMAGENET)
    torch.testing.assert_close(model.stem.conv.weight, IMAGENET['tpm.stem.0.c.weight'])
    torch.testing.assert_close(model.levels[3][1].layers[2].conv.weight, IMAGENET['tpm.layer9.conv.4.c.weight'])


def test_the_classifier_is_dropped_and_reported():
    report = load_official(TopFormer(), IMAGENET | CLASSIFIER)
    assert report.dropped == list(CLASSIFIER)
    assert 'head.weight' in str(report)


def test_imagenet_weights_leave_neck_and_head_and_say_so():
    model = segmentor()
    before = model.decode_head.conv_seg.weight.clone()
    report = load_official(model, IMAGENET)
    assert report.absent == ['decode_head', 'neck'] and 'decode_head' in str(report)
    torch.testing.assert_close(model.decode_head.conv_seg.weight, before)


def test_a_classifier_beside_a_backbone_that_is_named():
    state = {f'backbone.{name}': tensor for name, tensor in IMAGENET.items()} | CLASSIFIER
    report = load_official(segmentor(), state)
    assert report.dropped == list(CLASSIFIER) and report.absent == ['decode_head', 'neck']
    assert load_official(TopFormer(), state).dropped == list(CLASSIFIER)


def test_stages_that_are_not_built_are_reported():
    report = load_official(TopFormer(out_indices=(1,)), IMAGENET)
    assert all(name.startswith(('backbone.levels.2', 'backbone.levels.3', 'backbone.extractor')) for name in report.unneeded)
    assert len(report.unneeded) + len(report.loaded) == len(IMAGENET) and 'no output needs' in str(report)


def test_a_whole_segmentor():
    model = segmentor()
    report = load_official(model, dict(state_dict=published_segmentor()))
    assert not report.absent and len(report.loaded) == len(model.state_dict())
    expected = golden.fill('decode_head.linear_fuse.conv.weight', [128, 1, 1, 1])
    torch.testing.assert_close(model.decode_head.fuse.conv.weight, expected)


@pytest.mark.parametrize('change, message', [
    (lambda s: s.pop('tpm.stem.0.c.weight'), r'missing \(1\): backbone.stem.conv.weight'),
    (lambda s: s.update({'surprise.weight': torch.zeros(1)}), r'left over \(1\): backbone.surprise.weight'),
    (lambda s: s.update({'tpm.stem.0.c.weight': torch.zeros(16, 3, 5, 5)}),
     r'another shape \(1\): backbone.stem.conv.weight \(16, 3, 5, 5\) for \(16, 3, 3, 3\)'),
    (lambda s: s.update({'module.tpm.stem.0.c.weight': torch.zeros(16, 3, 3, 3)}), 'given twice'),
], ids=['missing', 'left over', 'shape', 'twice'])
def test_strictness(change, message):
    model, state = TopFormer(), dict(IMAGENET)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    change(state)
    with pytest.raises(ValueError, match=message):
        load_official(model, state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_neck_in_part_is_an_error():
    state = published_segmentor()
    del state['backbone.SIM.1.global_act.conv.weight']
    with pytest.raises(ValueError, match='neck.injections.0.global_gate.conv.weight'):
        load_official(segmentor(), state)


def conv_bn(prefix, channels):
    return {f'{prefix}.conv.weight': torch.randn(128, channels, 1, 1), **{
        f'{prefix}.bn.{leaf}': torch.randn(128) for leaf in ('weight', 'bias', 'running_mean', 'running_var')},
        f'{prefix}.bn.num_batches_tracked': torch.tensor(0)}


@pytest.mark.parametrize('fusion, official', [
    ('gated_sum', ('local_embedding', 'global_embedding', 'global_act')),
    ('gated_sum_relu', ('local_embedding', 'global_embedding', 'global_act')),
    ('sum', ('fuse1', 'fuse2')), ('product', ('fuse1', 'fuse2'))])
def test_every_released_form_of_injection_loads(fusion, official):
    model = torch.nn.Module()
    model.backbone = TopFormer()
    model.neck = MODELS.build(dict(type='mmvisattn.SemanticInjection', fusion=fusion))
    state = dict(IMAGENET)
    for level, channels in zip((1, 2, 3), (32, 64, 96)):
        for name in official:
            prefix = f'SIM.{level}.{name}'
            if (fusion, name) == ('gated_sum_relu', 'global_act'):  # a convolution with bias and without norm
                state |= {f'{prefix}.conv.weight': torch.randn(128, channels, 1, 1), f'{prefix}.conv.bias': torch.randn(128)}
            else:
                state |= conv_bn(prefix, channels)
    report = load_official(model, state)
    assert len(report.loaded) == len(state) == len(model.state_dict())
    last = model.neck.injections[0].global_embedding if fusion == 'sum' else model.neck.injections[0].global_gate
    torch.testing.assert_close(last.conv.weight, state[f'SIM.1.{official[-1]}.conv.weight'])


def test_averaged_weights_are_reported_and_raw_ones_taken_if_asked(tmp_path):
    raw = {name: tensor + 1 for name, tensor in IMAGENET.items()}
    torch.save(dict(state_dict=raw, state_dict_ema=IMAGENET), tmp_path / 'official.pth')
    model = TopFormer()
    assert 'state_dict_ema, not those of state_dict' in str(load_official(model, tmp_path / 'official.pth'))
    torch.testing.assert_close(model.stem.conv.weight, IMAGENET['tpm.stem.0.c.weight'])
    load_official(model, tmp_path / 'official.pth', weights='raw')
    torch.testing.assert_close(model.stem.conv.weight, raw['tpm.stem.0.c.weight'])
    model = TopFormer(init_cfg=dict(
        type='mmvisattn.OfficialPretrained', checkpoint=str(tmp_path / 'official.pth'), weights='raw'))
    model.init_weights()
    torch.testing.assert_close(model.stem.conv.weight, raw['tpm.stem.0.c.weight'])


def built(classifier: dict):
    import_mmpretrain()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(classifier)


def classifier(backbone: dict, dims: int):
    pytest.importorskip('mmpretrain')
    return built(dict(
        type='mmpretrain.ImageClassifier', backbone=backbone, neck=dict(type='mmpretrain.GlobalAveragePooling'),
        head=dict(type='mmpretrain.LinearClsHead', num_classes=5, in_channels=dims)))


@pytest.mark.parametrize('family, dims, settings', [
    ('CrossFormer', 512, dict(out_norm=True)), ('SMT', 512, {}), ('TopFormer', 208, {})])
def test_a_backbone_from_our_own_classifier(family, dims, settings, tmp_path):
    trained = classifier(dict(type=f'mmvisattn.{family}', arch='tiny', out_indices=(-1,), **settings), dims)
    torch.save(dict(meta={}, state_dict=trained.state_dict()), tmp_path / 'best.pth')
    backbone = MODELS.build(dict(type=f'mmvisattn.{family}', arch='tiny', init_cfg=dict(
        type='mmvisattn.OfficialPretrained', checkpoint=str(tmp_path / 'best.pth'))))
    backbone.init_weights()
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, trained.backbone.state_dict()[name]), name
    dropped = load_official(backbone, tmp_path / 'best.pth').dropped
    assert {name.split('.')[-3] if 'out_norms' in name else name.split('.')[0] for name in dropped} == {
        'head', *(('out_norms',) if settings else ())}


@pytest.mark.parametrize('family', ['CrossFormer', 'SMT', 'TopFormer'])
@pytest.mark.parametrize('prefix', ['', 'module.', 'module.backbone.'])
def test_a_backbone_from_its_own_state_dict(family, prefix):
    trained, model = (MODELS.build(dict(type=f'mmvisattn.{family}', arch='tiny')) for _ in range(2))
    report = load_official(model, {prefix + name: tensor for name, tensor in trained.state_dict().items()})
    assert len(report.loaded) == len(model.state_dict()) and not report.dropped
    assert all(torch.equal(tensor, trained.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_our_own_classifier_with_other_classes_fills_the_backbone_of_a_segmentor():
    trained = classifier(dict(type='mmvisattn.TopFormer', arch='tiny', out_indices=(4,)), 208)
    model = segmentor()
    report = load_official(model, trained.state_dict())
    assert report.absent == ['decode_head', 'neck'] and report.dropped == ['head.fc.weight', 'head.fc.bias']
    torch.testing.assert_close(model.backbone.stem.conv.weight, trained.backbone.stem.conv.weight)


def test_our_own_segmentor_fills_a_backbone():
    trained = segmentor()
    model = TopFormer()
    assert load_official(model, trained.state_dict()).unused == ['decode_head', 'neck']
    torch.testing.assert_close(model.levels[3][1].layers[2].conv.weight, trained.backbone.levels[3][1].layers[2].conv.weight)


def test_an_official_classifier_of_topformer_fills_ours():
    """The names in the authors' classifier are a guess; others are an error."""
    pytest.importorskip('mmpretrain')
    model = built(dict(
        type='mmpretrain.ImageClassifier', backbone=dict(type='mmvisattn.TopFormer', out_indices=(4,)),
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        head=dict(type='mmpretrain.LeViTClsHead', distillation=False, num_classes=1000, in_channels=208)))
    head = {f'head.bn.{leaf}': torch.rand(208) for leaf in ('weight', 'bias', 'running_mean', 'running_var')}
    head |= {'head.bn.num_batches_tracked': torch.tensor(0), 'head.l.weight': torch.rand(1000, 208),
             'head.l.bias': torch.rand(1000)}
    assert len(load_official(model, IMAGENET | head).loaded) == len(model.state_dict())
    torch.testing.assert_close(model.head.head.linear.weight, head['head.l.weight'])
    with pytest.raises(ValueError, match=r'missing.*head.head.linear.weight'):
        load_official(model, IMAGENET | CLASSIFIER)


def test_other_variants_do_not_fit():
    with pytest.raises(ValueError, match='another shape'):
        load_official(TopFormer('small'), IMAGENET)


@pytest.mark.parametrize('family, arch, recording', [
    ('CrossFormer', 'tiny', 'crossformer_t'), ('SMT', 'tiny', 'smt_t'), ('TopFormer', 'tiny', 'topformer_t'),
    ('RestormerEncoder', 'small', 'restormer_restormer_small')])
def test_other_input_channels(family, arch, recording):
    """A gray image gives what its copy in every channel gave; so do six channels that hold an RGB image twice."""
    state = golden.checkpoint(golden.read(recording))
    settings = dict(type=f'mmvisattn.{family}', arch=arch)
    gray = torch.randn(1, 1, 32, 32, dtype=torch.float64)
    color = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    outputs = {}
    for channels in (3, 1, 6):
        model = MODELS.build(dict(settings, in_channels=channels)).double().eval()
        with torch.no_grad():
            if channels != 3:
                with pytest.raises(ValueError, match='of another shape'):
                    load_official(model, state)
            report = load_official(model, state, in_channels='adapt')
            outputs[channels] = {key: model(x) for key, x in (
                {3: dict(gray=gray.repeat(1, 3, 1, 1), color=color), 1: dict(gray=gray),
                 6: dict(color=color.repeat(1, 2, 1, 1))}[channels].items())}
        assert bool(report.adapted) == (channels != 3) and ('input channels' in str(report)) == (channels != 3)
    for channels, key in ((1, 'gray'), (6, 'color')):
        torch.testing.assert_close(outputs[channels][key], outputs[3][key], rtol=0, atol=1e-6)


def test_input_channels_through_a_config(tmp_path):
    torch.save(IMAGENET, tmp_path / 'official.pth')
    init = dict(type='mmvisattn.OfficialPretrained', checkpoint=str(tmp_path / 'official.pth'), in_channels='adapt')
    model = TopFormer(in_channels=1, init_cfg=init)
    model.init_weights()
    torch.testing.assert_close(model.stem.conv.weight, IMAGENET['tpm.stem.0.c.weight'].sum(1, keepdim=True))
    with pytest.raises(ValueError, match="in_channels='other'"):
        load_official(model, IMAGENET, in_channels='other')


def test_a_module_without_official_weights_is_named():
    with pytest.raises(TypeError, match='Linear'):
        load_official(torch.nn.Linear(1, 1), IMAGENET)


@pytest.mark.parametrize('nested', [False, True], ids=['backbone', 'segmentor'])
def test_through_a_config(nested, tmp_path, caplog):
    torch.save(IMAGENET, tmp_path / 'official.pth')
    init_cfg = dict(type='mmvisattn.OfficialPretrained', checkpoint=str(tmp_path / 'official.pth'))
    model = segmentor() if nested else TopFormer(init_cfg=init_cfg)
    backbone = model.backbone if nested else model
    backbone.init_cfg = init_cfg
    logging.getLogger('mmengine').propagate = True
    model.init_weights()
    reference = TopFormer()
    load_official(reference, IMAGENET)
    for name, tensor in backbone.state_dict().items():
        torch.testing.assert_close(tensor, reference.state_dict()[name], atol=0, rtol=0)
