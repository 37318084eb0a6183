"""Exported files compute what PyTorch computes, for every family and runtime."""
import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.cases import BACKBONES
from helpers.reduced import ROOT
from mmengine.config import Config

import mmvisattn
from mmvisattn.deploy import ExportError, deployed_model, export, load_exported, open_exported
from mmvisattn.deploy.exporting import (
    all_or_none,
    exported_program,
    metadata_of,
    onnx_model,
    opened,
    openvino_model,
    shapes_of,
    smallest_side,
    write_openvino,
)
from mmvisattn.deploy.graphs import for_any_size
from mmvisattn.deploy.runtimes import NEEDED

pytest.importorskip('onnxruntime')
pytest.importorskip('openvino')
# Sides that are no multiple of a stride: the groups of a CrossFormer do not fit its maps.
SIZE = (68, 92)
# One stage has groups of all shapes, and some of as many tokens as heads, which OpenVINO 2026.4 takes for others
# (docs/upstream/openvino.md).
ONE_STAGE = dict(arch=dict(embed_dims=32, depths=(2,), num_heads=(4,), group_size=4, interval=(3,), with_cooling=False),
                 out_indices=(0,))


def tiny(family, **settings):
    """The shortest backbone of a family, with weights that give every branch an effect."""
    case = BACKBONES[family]
    model = (case.build_shortest(**settings) if case.shortest and not settings else case.build(**settings)).eval()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.weight, 0.5, 1)
    return model


def restorer():
    config = Config.fromfile(ROOT / 'configs/restormer/restormer-small_gaussian-blind_1xb8-2000_bsds-48x48.py')
    config.model.backbone.update(embed_dims=8, depths=(1, 1, 1, 1), num_refinement_blocks=1)
    return mmvisattn.load(Config(config.to_dict()), device='cpu')  # without its name, which stands for trained weights


@pytest.fixture(scope='module', params=BACKBONES)
def family(request):
    model = deployed_model(tiny(request.param, **(ONE_STAGE if request.param == 'CrossFormer' else {})))
    return model, onnx_model(exported_program(model, SIZE), model.output_names, metadata_of(model, SIZE))


def same_outputs(model, file, *shapes):
    for batch, height, width in shapes:
        image = model.example(batch, height, width)
        with torch.no_grad():
            expected = model.graph(image)
        expected = [expected] if torch.is_tensor(expected) else expected
        found = file(image.numpy())
        assert len(found) == len(expected)
        for one, other in zip(expected, found):
            assert np.abs(one.numpy() - other).max() <= 1e-4 * np.abs(other).max()


def test_onnxruntime(family, tmp_path):
    model, proto = family
    (tmp_path / 'model.onnx').write_bytes(proto.SerializeToString())
    same_outputs(model, open_exported(tmp_path / 'model.onnx'), (1, *SIZE))


def test_openvino(family, tmp_path):
    model, proto = family
    write_openvino(openvino_model(proto.SerializeToString()), tmp_path / 'model.xml', metadata_of(model, SIZE))
    file = open_exported(tmp_path / 'model.xml')
    same_outputs(model, file, (1, *SIZE))
    assert file.metadata['size'] == list(SIZE) and file.metadata['task'] == 'backbone'


@pytest.mark.slow
def test_all_stages_of_a_crossformer(tmp_path):
    model, size = deployed_model(tiny('CrossFormer')), (72, 104)
    program = exported_program(model, size)
    for name, format in (('model.onnx', 'onnx'), ('model.xml', 'openvino')):
        comparison = export(model, tmp_path / name, format, size, program=program)
        assert max(comparison.differences.values()) < 1e-5


def test_torch_export_and_what_the_file_tells(tmp_path):
    model = deployed_model(tiny('TopFormer'))
    comparison = export(model, tmp_path / 'model.pt2', 'torch-export', SIZE)
    assert max(comparison.differences.values()) < 1e-5
    metadata = open_exported(tmp_path / 'model.pt2').metadata
    assert metadata['mean'] == [123.675, 116.28, 103.53] and metadata['order'] == 'RGB'
    with pytest.raises(ValueError, match='no predictions'):
        load_exported(tmp_path / 'model.pt2')


# By how much the sides exceed the smallest.
LARGER = [(1, 0, 0), (2, 31, 63), (3, 32, 66), (4, 1, 136), (1, 95, 7), (2, 6, 8), (1, 135, 134), (1, 64, 185)]


@pytest.mark.slow
@pytest.mark.parametrize('name', [*BACKBONES, 'Restormer'])
def test_one_file_for_any_size_and_batch(name, tmp_path):
    model = deployed_model(restorer() if name == 'Restormer' else tiny(name))
    shapes = shapes_of(smallest_side(model), *LARGER)
    export(model, tmp_path / 'model.onnx', 'onnx')
    same_outputs(model, open_exported(tmp_path / 'model.onnx'), *shapes)
    write_openvino(openvino_model((tmp_path / 'model.onnx').read_bytes()), tmp_path / 'model.xml', metadata_of(model, None))
    same_outputs(model, open_exported(tmp_path / 'model.xml'), *shapes)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['fpn_1xb2-3000_camvid-192x160', 'upernet_8xb2-160k_ade20k-512x512'])
def test_one_file_of_a_whole_segmentor(name, tmp_path):
    config = Config.fromfile(ROOT / f'configs/smt/smt-tiny_{name}.py')
    case = BACKBONES['SMT']
    config.model.backbone.arch = case.tiny['arch']
    head = config.model.neck if 'fpn' in name else config.model.decode_head
    head.in_channels = list(case.channels)
    if 'upernet' in name:
        head.channels, config.model.auxiliary_head = 16, None
    model = deployed_model(mmvisattn.load(Config(config.to_dict()), device='cpu'), 'logits')
    export(model, tmp_path / 'model.onnx', 'onnx')
    same_outputs(model, open_exported(tmp_path / 'model.onnx'), *shapes_of(smallest_side(model), *LARGER))


class Wrong(torch.nn.Module):
    """Computes something else in a program than in PyTorch."""

    def __init__(self):
        super().__init__()
        self.out_indices = (0,)
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        return (x * self.scale * (2 if torch.compiler.is_compiling() else 1),)


class OfOneSize(Wrong):
    """A program that takes the recorded size only."""

    def forward(self, x):
        return (self.scale * x[:, :, torch.tensor([100] if torch.compiler.is_compiling() else [0])],)


def test_a_file_that_does_not_run_is_not_written(tmp_path):
    with pytest.raises(ExportError, match='model.onnx: the file does not run: .*give --size HEIGHT WIDTH'):
        export(deployed_model(OfOneSize()), tmp_path / 'model.onnx', 'onnx')
    assert not list(tmp_path.iterdir())


def test_layers_of_heads_are_recorded_for_any_size():
    from mmseg.models.utils import Upsample
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d((3, 5)), Upsample(scale_factor=3))
    upsampling = torch.nn.Sequential(Upsample(scale_factor=2, mode='bilinear', align_corners=False))
    for model in (net, upsampling):
        exact = deepcopy(model)
        for_any_size(model)
        sides = {2: torch.export.Dim('height', min=3), 3: torch.export.Dim('width', min=3)}
        program = torch.export.export(model, (torch.rand(1, 2, 20, 31),), dynamic_shapes=(sides,), strict=False).module()
        for size in ((20, 31), (7, 64), (33, 9)):
            x = torch.rand(1, 2, *size)
            torch.testing.assert_close(program(x), exact(x))


def test_a_wrong_file_is_not_written_and_an_older_one_is_kept(tmp_path):
    (tmp_path / 'model.onnx').write_text('older')
    with pytest.raises(ExportError, match='something else than PyTorch: map_0 differs by'):
        export(deployed_model(Wrong()), tmp_path / 'model.onnx', 'onnx', SIZE)
    assert (tmp_path / 'model.onnx').read_text() == 'older' and len(list(tmp_path.iterdir())) == 1


def test_of_two_files_none_is_written_if_one_fails(tmp_path):
    with pytest.raises(FileNotFoundError), all_or_none(tmp_path / 'model.xml') as unfinished:
        unfinished.with_suffix('.bin').write_bytes(b'weights')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('content, words', [(b'', 'cannot be opened'), (b'\x00\x01', 'cannot be opened')])
def test_a_file_that_is_none_is_named(tmp_path, content, words):
    (tmp_path / 'model.onnx').write_bytes(content)
    with pytest.raises(ValueError, match=words):
        open_exported(tmp_path / 'model.onnx')
    with pytest.raises(FileNotFoundError, match='there is no file'):
        open_exported(tmp_path / 'none.onnx')


@pytest.mark.parametrize('texts, words', [
    (dict(task='"backbone"'), 'lacks output, .*export it again'),
    (dict.fromkeys(('task', *NEEDED), '{'), 'damaged metadata: export it again')], ids=['lacking', 'damaged'])
def test_damaged_metadata_are_named(texts, words, tmp_path):
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(1),))
    torch.export.save(program, str(tmp_path / 'model.pt2'), extra_files={'mmvisattn.json': json.dumps(texts)})
    with pytest.raises(ValueError, match=f'model.pt2 .*{words}'):
        open_exported(tmp_path / 'model.pt2')


def test_a_damaged_program_is_named_without_a_traceback(tmp_path, caplog):
    (tmp_path / 'model.pt2').write_bytes(b'PK\x03\x04')
    with pytest.raises(ValueError, match='model.pt2 cannot be opened: it is damaged'):
        open_exported(tmp_path / 'model.pt2')
    assert not caplog.records


def test_only_exported_files_are_opened(tmp_path):
    (tmp_path / 'model.ONNX').write_bytes(b'')
    with pytest.raises(ValueError, match='suffixes are .onnx, .xml, .pt2'):
        open_exported(tmp_path / 'model.ONNX')
    (tmp_path / 'model.onnx').write_bytes(b'')
    with pytest.raises(ValueError, match="weights='other.pth': .*holds its weights"):
        mmvisattn.load(tmp_path / 'model.onnx', 'other.pth')


def test_what_a_runtime_refuses_is_named_with_the_way_out(tmp_path):
    (tmp_path / 'temporary.onnx').write_bytes(b'')
    with pytest.raises(ExportError, match='^model.onnx cannot be opened.*nothing was written: try the default --opset'):
        opened(tmp_path / 'temporary.onnx', Path('model.onnx'))


@pytest.mark.parametrize('format, package', [('onnx', 'onnxruntime'), ('openvino', 'openvino')])
def test_a_missing_package_is_named_before_the_work(tmp_path, monkeypatch, format, package):
    monkeypatch.setattr('mmvisattn.dependencies.installed', lambda name: name != package)
    with pytest.raises(ImportError, match=f"--format {format} needs the package '{package}'"):
        export(deployed_model(Wrong()), tmp_path / 'model', format, SIZE)
