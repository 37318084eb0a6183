"""Exported files predict what the PyTorch model predicts."""
import cv2
import numpy as np
import pytest
import torch
from helpers.reduced import ROOT
from mmengine.config import Config

import mmvisattn
from mmvisattn.deploy import FORMATS, deployed_model, export
from mmvisattn.deploy.exporting import differences, exported_program, files_of

pytest.importorskip('onnxruntime')
pytest.importorskip('openvino')
SEGMENTOR = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'
DETECTORS = {'FCOS': ROOT / 'configs/topformer/topformer-tiny_fcos_1xb8-40e_miniature-coco.py',
             'RetinaNet': ROOT / 'configs/topformer/topformer-tiny_retinanet_8xb2-12e_coco.py',
             'ATSS': ROOT / 'configs/topformer/topformer-base_atss_1xb4-10e_bccd-640x480.py'}
CLASSIFIER = ROOT / 'configs/topformer/topformer-tiny_1xb32-12e_miniature-imagenet-96x96.py'
RESTORER = ROOT / 'configs/restormer/dncnn_gaussian25_1xb4-2400_bsds-48x48.py'


@pytest.fixture(scope='module')
def picture():
    image = np.full((160, 160, 3), (90, 140, 200), np.uint8)
    cv2.rectangle(image, (0, 60), (160, 160), (80, 80, 80), -1)
    cv2.circle(image, (60, 50), 25, (200, 40, 30), -1)
    return image


def loaded(path):
    """A model with random weights that are the same each time."""
    torch.manual_seed(0)
    return mmvisattn.load(Config.fromfile(path), device='cpu')


def exported(predictor, path, output=None, with_preprocessing=False, size=(160, 160)):
    format = next(name for name, (suffix, _) in FORMATS.items() if suffix == path.suffix)
    export(deployed_model(predictor, output, with_preprocessing), path, format, size)
    return mmvisattn.load(path)


def same_labels(path, picture, expected):
    found = mmvisattn.load(path).predict(picture)
    assert type(found) is type(expected) and found.classes == expected.classes and found.palette == expected.palette
    assert (found.labels == expected.labels).mean() > 0.999 and len(np.unique(found.labels)) > 1


def test_labels(tmp_path, picture):
    predictor = loaded(SEGMENTOR)
    expected = predictor.predict(picture)
    model, size = deployed_model(predictor, with_preprocessing=True), (160, 160)
    program = exported_program(model, size)
    for name, format in (('model.pt2', 'torch-export'), ('model.xml', 'openvino')):
        export(model, tmp_path / name, format, size, program=program)
        same_labels(tmp_path / name, picture, expected)


@pytest.mark.slow
def test_logits(tmp_path, picture):
    predictor = loaded(SEGMENTOR)
    exported(predictor, tmp_path / 'model.onnx', 'logits')
    same_labels(tmp_path / 'model.onnx', picture, predictor.predict(picture))


@pytest.mark.slow
@pytest.mark.parametrize('name, format', [('model.onnx', 'onnx'), ('model.xml', 'openvino'), ('model.pt2', 'torch-export')])
def test_half(tmp_path, picture, name, format):
    """Files of half the size, with labels that differ where classes are almost equally likely."""
    predictor, size = loaded(SEGMENTOR), (160, 160)
    model = deployed_model(predictor)
    program = exported_program(model, size)
    export(model, tmp_path / name, format, size, program=program)
    export(model, tmp_path / f'half_{name}', format, size, half=True)
    whole, half = (sum(file.stat().st_size for file in files_of(tmp_path / stem)) for stem in (name, f'half_{name}'))
    assert half < 0.7 * whole
    found = mmvisattn.load(tmp_path / f'half_{name}').predict(picture).labels
    assert (found == predictor.predict(picture).labels).mean() > 0.98


def small_restorer():
    config = Config.fromfile(RESTORER)
    config.model.backbone.update(depth=3, dims=8)
    torch.manual_seed(0)
    return mmvisattn.load(config, device='cpu')


def test_a_restored_image(tmp_path, picture):
    predictor = small_restorer()
    found = exported(predictor, tmp_path / 'model.onnx').predict(picture)
    expected = predictor.predict(picture)
    assert abs(found.restored.pixels - expected.restored.pixels).max() < 1e-4
    with pytest.raises(ValueError, match='160 x 160 pixels, and this one has 200 x 128 .*--size dynamic'):
        mmvisattn.load(tmp_path / 'model.onnx').predict(np.zeros((128, 200, 3), np.uint8))
    with pytest.raises(ValueError, match='model.onnx takes images of 3 channels, and this one has 6'):
        mmvisattn.load(tmp_path / 'model.onnx').model.restore(torch.zeros(1, 6, 160, 160))  # a dual-pixel sensor's


def size_for_tests():
    """(height, width) to which the classifier's config resizes images."""
    width, height = Config.fromfile(CLASSIFIER).test_dataloader.dataset.pipeline[1].scale
    return height, width


def test_a_classifier_pads_no_image(tmp_path, picture):
    pytest.importorskip('mmpretrain')
    predictor = exported(loaded(CLASSIFIER), tmp_path / 'model.pt2', size=(160, 160))
    height, width = size_for_tests()
    with pytest.raises(ValueError, match=f'at least 160 x 160 pixels, and this one has {width} x {height} '
                                         f'.*--size {height} {width}'):
        predictor.predict(picture)


def test_a_network_without_normalization():
    config = Config.fromfile(SEGMENTOR)
    config.model.data_preprocessor = dict(type='SegDataPreProcessor')
    model = deployed_model(mmvisattn.load(config, device='cpu'), with_preprocessing=True)
    image = model.example(1, 32, 32)
    assert torch.equal(model.graph.normalization(image), image.permute(0, 3, 1, 2).float().flip(1))


def test_a_trace_has_no_operator_that_ncnn_lacks():
    model = deployed_model(loaded(SEGMENTOR), 'logits')
    assert 'addcmul' not in str(torch.jit.trace(model.graph, model.example(1, 64, 64)).inlined_graph)


def test_windows_are_not_exported():
    config = Config.fromfile(SEGMENTOR)
    config.model.test_cfg = dict(mode='slide', crop_size=(64, 64), stride=(32, 32))
    with pytest.raises(ValueError, match="predicts in windows .*dict\\(mode='whole'\\)"):
        deployed_model(mmvisattn.load(config, device='cpu'))


def test_what_is_not_decoded_is_exported_raw():
    pytest.importorskip('mmdet')
    config = Config.fromfile(DETECTORS['RetinaNet'])
    config.model.bbox_head.loss_cls = dict(type='CrossEntropyLoss', use_sigmoid=False)
    predictor = mmvisattn.load(config, device='cpu')
    with pytest.raises(ValueError, match='scores by softmax .*--output raw'):
        deployed_model(predictor)
    assert deployed_model(predictor, 'raw').output_names[0] == 'scores_0'
    for part in (dict(nms=dict(type='soft_nms')), dict(max_per_img=-1)):
        config = Config.fromfile(DETECTORS['FCOS'])
        config.model.test_cfg.merge(part)
        predictor = mmvisattn.load(config, device='cpu')
        with pytest.raises(ValueError, match=f'test_cfg.{next(iter(part))}=.*--output raw'):
            deployed_model(predictor)
        deployed_model(predictor, 'raw')


def detector(name):
    """A detector that finds something, on images as they are; with random weights, the scores are raised for that."""
    config = Config.fromfile(DETECTORS[name])
    config.test_dataloader.dataset.pipeline[1] = dict(type='Resize', scale_factor=1.0)
    torch.manual_seed(0)
    predictor = mmvisattn.load(config, device='cpu')
    if name != 'ATSS':  # weights of which come with the package
        head = predictor.model.bbox_head
        classifier = head.conv_cls if name == 'FCOS' else head.retina_cls
        with torch.no_grad():
            classifier.weight.mul_(30 if name == 'FCOS' else 0.2)  # RetinaNet's would all be 1
            classifier.bias.fill_(-2)
    return predictor


@pytest.mark.slow
@pytest.mark.parametrize('name', DETECTORS)
def test_boxes(tmp_path, picture, name):
    pytest.importorskip('mmdet')
    predictor = detector(name)
    expected = predictor.predict(picture)
    found = exported(predictor, tmp_path / 'model.onnx').predict(picture)
    assert len(expected.scores) > 5 and len(found.scores) == len(expected.scores)
    boxes, scores, labels = differences(*([one.boxes, one.scores, one.labels] for one in (expected, found)), 'detections')
    assert labels == 0 and boxes < 1e-4 and scores < 1e-4


@pytest.mark.slow
def test_probabilities(tmp_path, picture):
    pytest.importorskip('mmpretrain')
    predictor = loaded(CLASSIFIER)
    expected = predictor.predict(picture).scores
    for name, inside in (('model.onnx', False), ('model.xml', True)):
        found = exported(predictor, tmp_path / name, with_preprocessing=inside, size=size_for_tests()).predict(picture)
        assert abs(found.scores - expected).max() <= 1e-4 * expected.max()
