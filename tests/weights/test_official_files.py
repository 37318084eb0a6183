"""Every published segmentor and detector loads whole into the config that it belongs to, and the tool evaluates it."""
import json
import re
import shutil

import pytest
import torch
from helpers import golden, official
from helpers.published import PUBLISHED
from helpers.reduced import CLASSIFIERS, ROOT, larger_are_slow, path_of
from helpers.runs import options

from mmvisattn.cli.arguments import load_weights
from mmvisattn.models import SMT, CrossFormer, TopFormer
from mmvisattn.weights import load_official

mmdet = pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
NAMES = [name for name, model in PUBLISHED.items() if 'Config' in model and not name.startswith('restormer')
         and name not in {path.stem for path in CLASSIFIERS}]


def test_how_many_there_are():
    assert len(NAMES) == 41


@pytest.mark.parametrize('name', larger_are_slow(NAMES))
def test_loads_whole(name):
    model = official.model_of(path_of(name))
    state = official.checkpoint(model, name)
    report = load_official(model, official.wrapped(state))
    assert len(report.loaded) == len(model.state_dict())
    assert not report.absent and not report.dropped and not report.unused
    head = next(tensor for tensor in state if re.match('decode_head.conv_seg|bbox_head|rpn_head|roi_head', tensor))
    torch.testing.assert_close(model.state_dict()[head], state[head], atol=0, rtol=0)


@pytest.mark.parametrize('arch', ['tiny', 'base'])
def test_logits_are_the_recorded_ones(arch, tmp_path):
    """Loaded from a file as in tools/test.py, into the model of the published config."""
    name = f'topformer-{arch}_simple-head_8xb2-160k_ade20k-512x512'
    recording = golden.read(f'topformer_segmentor_{arch[0]}')
    torch.save(official.wrapped(golden.checkpoint(recording)), tmp_path / 'official.pth')
    model = official.model_of(path_of(name))
    load_weights(model, tmp_path / 'official.pth')
    model.double()
    for case in recording['cases']:
        with torch.inference_mode():
            golden.assert_agree([model(golden.case_input(case).double(), mode='tensor')], case, 1e-6)


@pytest.mark.parametrize('name, backbone, parts', [
    ('crossformer-small_mask-rcnn_8xb2-12e_coco', lambda: CrossFormer('small'), ['neck', 'roi_head', 'rpn_head']),
    ('smt-small_upernet_8xb2-160k_ade20k-512x512', lambda: SMT('small'), ['auxiliary_head', 'decode_head']),
    ('topformer-tiny_simple-head_8xb2-160k_ade20k-512x512', lambda: TopFormer('tiny'), ['decode_head', 'neck']),
])
def test_a_backbone_takes_its_part_of_a_whole_model(name, backbone, parts):
    whole, backbone = official.model_of(path_of(name)), backbone()
    state = official.checkpoint(whole, name)
    load_official(whole, dict(state))
    report = load_official(backbone, state)
    assert report.unused == parts and parts[0] in str(report)
    expected = whole.backbone.state_dict()
    for tensor, value in backbone.state_dict().items():
        torch.testing.assert_close(value, expected[tensor], atol=0, rtol=0)


def test_a_part_of_a_whole_model_that_is_not_there_is_missing():
    name = 'smt-small_upernet_8xb2-160k_ade20k-512x512'
    model = official.model_of(path_of(name))
    state = {key: tensor for key, tensor in official.checkpoint(model, name).items() if not key.startswith('auxiliary')}
    with pytest.raises(ValueError, match='missing .*auxiliary_head'):
        load_official(model, state)


@pytest.fixture(scope='module')
def coco(miniature_coco, tmp_path_factory):
    """The miniature data set with COCO's 80 categories."""
    from mmdet.datasets import CocoDataset
    root = tmp_path_factory.mktemp('coco') / 'set'
    shutil.copytree(miniature_coco, root)
    for path in (root / 'annotations').iterdir():
        content = json.loads(path.read_text())
        content['categories'] = [dict(id=i + 1, name=cls) for i, cls in enumerate(CocoDataset.METAINFO['classes'])]
        path.write_text(json.dumps(content))
    return root


def evaluate(name, root, run_tool, tmp_path):
    scale = '(640,384)' if 'dino' in name else '(160,96)'  # DINO needs 900 tokens for its queries
    official.save(official.model_of(path_of(name)), name, tmp_path / 'official.pth')
    done = run_tool(ROOT / 'tools/test.py', path_of(name), 'official.pth', '--work-dir', 'run',
                    *options(root, 1, **{'test_dataloader.dataset.pipeline.1.scale': scale}), timeout=600)
    (tmp_path / 'official.pth').unlink()
    assert done.returncode == 0, done.stderr[-3000:]
    output = done.stdout + done.stderr
    assert re.search(r'official.pth: loaded \d+ tensors', output)
    # With such weights some detectors find nothing; mmdet's metric then reports an empty result.
    assert re.search(r'mIoU: |coco/bbox_mAP: |results of the whole dataset is empty', output)


FEW = ['crossformer-small-g14_fpn_8xb2-80k_ade20k-512x512', 'topformer-tiny_simple-head_8xb2-160k_ade20k-512x512',
       'crossformer-small_mask-rcnn_8xb2-12e_coco']


@pytest.mark.parametrize('name', [*FEW, *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES if name not in FEW)])
def test_the_tool_evaluates(name, miniature, coco, run_tool, tmp_path):
    evaluate(name, miniature if 'ade20k' in name else coco, run_tool, tmp_path)
