"""int8: what is quantized, and how the accuracy is measured."""
import numpy as np
import pytest
import torch
from helpers.reduced import ROOT
from mmengine.config import Config
from PIL import Image

import mmvisattn
from mmvisattn.deploy import deployed_model, export, quantization
from mmvisattn.deploy.exporting import metadata_of
from mmvisattn.deploy.quantization import Accuracy, Quantizer

nncf = pytest.importorskip('nncf')
SEGMENTOR = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'
RESTORER = ROOT / 'configs/restormer/dncnn_gaussian25_1xb4-2400_bsds-48x48.py'
SIZE = (160, 288)  # the largest that the config's pipeline makes


@pytest.mark.slow
def test_a_segmentor_in_int8(tmp_path, miniature, capsys):
    predictor = mmvisattn.load(Config.fromfile(SEGMENTOR), device='cpu')
    model = deployed_model(predictor)
    quantizer = Quantizer(metadata_of(model, SIZE), miniature / 'images/training', predictor.config, str(miniature))
    export(model, tmp_path / 'model.xml', 'openvino', SIZE, transform=quantizer)
    report = quantizer.report
    assert report.metric == 'mIoU' and 0 <= report.before <= 100 and report.before - report.after <= 1
    assert report.quantized > 30 and 'mIoU' in str(report)
    found = mmvisattn.load(tmp_path / 'model.xml').predict(np.zeros((*SIZE, 3), np.uint8))
    assert found.labels.shape == SIZE


@pytest.mark.slow
def test_layers_stay_in_float_until_the_limit_holds(tmp_path, miniature, capsys, monkeypatch):
    """A network that changes an almost clean image a little: what int8 changes more is a loss, with no layer kept before."""
    monkeypatch.setattr(quantization, 'kept_from_the_start', lambda *_: nncf.IgnoredScope())
    config = Config.fromfile(RESTORER)
    config.model.backbone.update(depth=4, dims=16)
    config.test_dataloader.dataset.data_prefix = dict(clean='images/validation')
    config.test_dataloader.dataset.pipeline[1] = dict(type='mmvisattn.AddGaussianNoise', sigma=0.5, seed=0)
    torch.manual_seed(0)
    predictor = mmvisattn.load(Config(config.to_dict()), device='cpu')
    with torch.no_grad():
        for parameter in predictor.model.backbone.last.parameters():
            parameter.mul_(0.1)
    model = deployed_model(predictor)
    size = (224, 224)
    quantizer = Quantizer(
        metadata_of(model, size), miniature / 'images/training', predictor.config, str(miniature), max_loss=0.02)
    export(model, tmp_path / 'model.xml', 'openvino', size, transform=quantizer)
    report, printed = quantizer.report, capsys.readouterr().out
    assert 'dB of PSNR, more than 0.02: keeping layers in float …' in printed
    assert report.kept and report.quantized and report.before - report.after <= 0.02


def test_images_that_the_file_does_not_take_are_named(tmp_path, miniature):
    config = Config.fromfile(RESTORER)
    config.model.backbone.update(depth=3, dims=8)
    predictor = mmvisattn.load(Config(config.to_dict()), device='cpu')
    model = deployed_model(predictor)
    quantizer = Quantizer(metadata_of(model, (64, 64)), miniature / 'images/training', predictor.config)
    with pytest.raises(ValueError, match='^--int8: the file takes images of 64 x 64 pixels, and this one has .*larger size'):
        export(model, tmp_path / 'model.xml', 'openvino', (64, 64), transform=quantizer)


def test_the_accuracy_of_several_test_sets_is_their_mean(tmp_path, miniature):
    config = Config.fromfile(RESTORER)
    config.model.backbone.update(depth=3, dims=8)
    one = dict(config.test_dataloader.dataset, data_prefix=dict(clean='images/validation'))
    pipelines = [[one['pipeline'][0], dict(type='mmvisattn.AddGaussianNoise', sigma=sigma, seed=0), one['pipeline'][-1]]
                 for sigma in (5, 50)]
    config.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[
        dict(one, test_set=f'set {i}', pipeline=pipeline) for i, pipeline in enumerate(pipelines)])
    model = deployed_model(mmvisattn.load(Config(config.to_dict()), device='cpu'))
    export(model, tmp_path / 'model.pt2', 'torch-export', (224, 224))
    predictor = mmvisattn.load(tmp_path / 'model.pt2')
    accuracy = Accuracy(predictor, config, str(miniature), 'PSNR')
    half = len(accuracy) // 2
    parts = [accuracy.of(lambda image: [image], part) for part in (range(half), range(half, 2 * half))]
    assert parts[0] > parts[1] + 10
    assert accuracy.of(lambda image: [image], range(2 * half)) == pytest.approx(sum(parts) / 2)
    accuracy.metric = 'mIoU'
    with pytest.raises(ValueError, match='^--accuracy-data: the test_evaluator of the config gives .*PSNR.*, and no mIoU'):
        accuracy.of(lambda image: [image], range(1))


def test_a_folder_without_images_is_named(run_tool, tmp_path):
    (tmp_path / 'empty').mkdir()
    done = run_tool(ROOT / 'tools/export.py', 'segmentation', '--format', 'openvino', '--size', '64', '64',
                    '--int8', 'empty')
    assert done.returncode == 1 and 'there are no images in empty' in done.stderr.strip().splitlines()[-1]


def test_detectors_are_not_quantized(tmp_path):
    pytest.importorskip('mmdet')
    Image.new('RGB', (8, 8)).save(tmp_path / 'one.png')
    metadata = dict(task='"detection"')
    with pytest.raises(ValueError, match='only segmentation or restoration'):
        Quantizer(metadata, tmp_path, Config())
