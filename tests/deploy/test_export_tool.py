"""tools/export.py as a process: what it writes, and how it fails."""
import pytest
from helpers.reduced import ROOT

pytest.importorskip('onnxruntime')
pytest.importorskip('openvino')
TOOL = ROOT / 'tools/export.py'
CONFIG = f"_base_ = '{ROOT}/configs/topformer/topformer-tiny_simple-head_1xb16-800_miniature-128x128.py'\n"


def test_files_and_their_report(run_tool, tmp_path):
    (tmp_path / 'small.py').write_text(CONFIG)
    arguments = [TOOL, 'small.py', '--size', '64', '72', '--format', 'onnx', 'openvino']
    done = run_tool(*arguments)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / 'exported').iterdir()} == {
        'small_64x72.onnx', 'small_64x72.xml', 'small_64x72.bin'}
    assert done.stdout.count('difference to PyTorch') == 2 and 'ratio' in done.stdout
    again = run_tool(*arguments)
    assert again.returncode == 1
    assert again.stderr.strip().splitlines()[-1] == (
        'error: exported/small_64x72.onnx exists already; --overwrite replaces it')


@pytest.mark.parametrize('arguments, words', [
    (['segmentation', '--size', '512'], '--size 512: give HEIGHT WIDTH'),
    (['segmentation', '--output', 'restored'], 'a model for segmentation has labels or logits'),
    (['segmentation', '--opset', '9'], '--opset 9: must be at least 18'),
    (['segmentation', '--format', 'onix'], 'did you mean onnx?'),
    (['segmentacion'], 'did you mean'),
    (['topformer_tiny.py'], 'there is no config'),
    (['segmentation', '--max-loss', '2'], '--max-loss is the limit of the loss that --accuracy-data measures'),
], ids=lambda value: ' '.join(value) if isinstance(value, list) else '')
def test_misuse_is_one_line(run_tool, tmp_path, arguments, words):
    done = run_tool(TOOL, *arguments)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith('error: ') and words in last
    assert not (tmp_path / 'exported').exists()
