"""int8: what is quantized, and how the accuracy is measured."""
import numpy as np
import pytest
from helpers.reduced import ROOT
from mmengine.config import Config
from PIL import Image

import mmvisattn
from mmvisattn.deploy import deployed_model, export
from mmvisattn.deploy.exporting import metadata_of
from mmvisattn.deploy.quantization import Quantizer

pytest.importorskip('nncf')
SEGMENTOR = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-800_miniature-128x128.py'
SIZE = (160, 160)


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
