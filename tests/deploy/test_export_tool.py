"""tools/export.py as a process: what it writes, and how it fails."""
import numpy as np
import pytest
from helpers.reduced import ROOT

from mmvisattn.deploy import open_exported

pytest.importorskip('onnxruntime')
pytest.importorskip('openvino')
TOOL = ROOT / 'tools/export.py'
CONFIG = f"_base_ = '{ROOT}/configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'\n"


@pytest.mark.slow
def test_a_file_for_each_size(run_tool, tmp_path):
    done = run_tool(TOOL, 'segmentation', '--size', '64', '72', '--size', '96', '64', '--format', 'onnx')
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / 'exported').iterdir())) == 2
    for size in ((64, 72), (96, 64)):
        file = open_exported(tmp_path / f'exported/segmentation_{size[0]}x{size[1]}.onnx')
        assert file.metadata['size'] == list(size)
        assert file(np.zeros((1, 3, *size), np.float32))[0].shape == (1, *size)


def test_files_and_their_report(run_tool, tmp_path):
    (tmp_path / 'small.py').write_text(CONFIG)
    arguments = [TOOL, 'small.py', '--size', '64', '72', '--format', 'onnx', 'openvino']
    done = run_tool(*arguments)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / 'exported').iterdir()} == {
        'small_64x72.onnx', 'small_64x72.xml', 'small_64x72.bin'}
    assert 'no weights come' in done.stdout + done.stderr and 'TopFormer' not in done.stdout + done.stderr  # not the config
    assert done.stdout.count('difference to PyTorch') == 2 and 'ratio' in done.stdout
    # OpenVINO takes several times as long for ArgMax.
    assert b'TopK' in (tmp_path / 'exported/small_64x72.onnx').read_bytes()
    again = run_tool(*arguments)
    assert again.returncode == 1
    (tmp_path / 'exported/small_64x72.xml').unlink()
    weights = run_tool(*arguments[:5], '--format', 'openvino')  # somebody else's, perhaps
    assert 'exported/small_64x72.bin exists already' in weights.stderr.strip().splitlines()[-1]
    assert again.stderr.strip().splitlines()[-1] == (
        'error: exported/small_64x72.onnx exists already; --overwrite replaces it')


@pytest.mark.parametrize('arguments, words', [
    (['segmentation', '--size', '512'], '--size 512: give HEIGHT WIDTH'),
    (['segmentation', '--output', 'restored'], 'a model for segmentation has labels or logits'),
    (['segmentation', '--opset', '9'], '--opset 9: must be at least 18'),
    (['segmentation', '--format', 'onix'], 'did you mean onnx?'),
    (['segmentacion'], 'did you mean'),
    (['topformer_tiny.py'], 'there is no config'),
    (['x.onnx'], 'x.onnx is an exported file; give the config and checkpoint'),
    (['segmentation', '--format', 'openvino', '--int8', '.', '--accuracy-data', 'none'],
     '--accuracy-data none: there is no such folder'),
    (['segmentation', '--format', 'openvino', '--int8', '.', '--accuracy-data', '.', '--max-loss', 'nan'],
     '--max-loss nan: must be 0 or larger'),
    (['segmentation', '--size', '99999999', '99999999'], '--size 99999999 99999999: there is no memory for such an image'),
    (['segmentation', '--max-loss', '2'], '--max-loss is the limit of the loss that --accuracy-data measures'),
], ids=lambda value: ' '.join(value) if isinstance(value, list) else '')
def test_misuse_is_one_line(run_tool, tmp_path, arguments, words):
    done = run_tool(TOOL, *arguments)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith('error: ') and words in last
    assert not (tmp_path / 'exported').exists()
