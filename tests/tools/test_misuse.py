"""What a command line has wrong is one line, for every tool, and nothing is left behind."""
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.reduced import ROOT
from helpers.runs import options

pytest.importorskip('mmseg')
CONFIG = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'
WRONG = {  # configs and data beside the tools' arguments
    'no_model.py': 'x = 1',
    'no_data.py': "model = dict(type='EncoderDecoder')",
    'backbone.py': f"_base_ = {str(CONFIG)!r}\nmodel = dict(backbone=dict(type='mmvisattn.TopFromer'))",
    'loader.py': f'_base_ = {str(CONFIG)!r}\ntrain_dataloader = dict(batchsize=4)',
    'text.png': 'no image',
    'file': '',
    'torn/config.py': f'_base_ = {str(CONFIG)!r}',
    'torn/last_checkpoint': '',
    'torn/1/1.log': '',
    'torn/1/vis_data/scalars.json': '{"loss": 1.0, "iter": 1, "step": 1}\n{"loss": 0.9, "it\n{"mIoU": 1.0, "step": 2}\n',
    'cut/config.py': f'_base_ = {str(CONFIG)!r}',
    'cut/last_checkpoint': '',
    'cut/1/1.log': '',
    'cut/1/vis_data/scalars.json': '{"loss": 1.0, "iter": 1, "step": 1}\n{"mIoU": 1.0, "step": 2}\n{"loss": 0.9, "it',
}
RESTORE = ('--checkpoint', 'nothing.pth')
# name: (tool, arguments, words of the line)
CASES = {
    'type': ('train', ['backbone.py'], ["model.backbone.type='mmvisattn.TopFromer'", 'did you mean mmvisattn.TopFormer?']),
    'loader': ('train', ['loader.py'], ['train_dataloader.batchsize=4: DataLoader takes no', 'did you mean batch_size?']),
    'loop': ('train', [CONFIG, {'train_cfg.max_iter': 9}],
             ['train_cfg.max_iter=9: IterBasedTrainLoop takes no', 'did you mean max_iters?']),
    'part': ('train', [CONFIG, {'model.backbone': 'TopFormer'}], ['model.backbone=TopFormer', 'model.backbone.type']),
    'hooks': ('train', [CONFIG, {'default_hooks': 5}], ['default_hooks=5', 'default_hooks.timer']),
    'custom hooks': ('train', [CONFIG, {'custom_hooks': 3}], ['custom_hooks=3 must be a list']),
    'workers': ('train', [CONFIG, {'val_dataloader.persistent_workers': True}],
                ['val_dataloader.persistent_workers=True needs workers']),
    'metric': ('train', [CONFIG, {'val_evaluator.type': 'IoUMetrc'}], ["val_evaluator.type='IoUMetrc'", 'IoUMetric?']),
    'seed': ('train', [CONFIG, {'randomness.sed': 1}], ['randomness has no sed', 'did you mean randomness.seed?']),
    'no model': ('train', ['no_model.py'], ['no_model.py has no model']),
    'no data': ('train', ['no_data.py'], ['no_data.py has no train_dataloader']),
    'no key': ('train', [CONFIG, '--cfg-options', 'data_root'], ['--cfg-options data_root: KEY=VALUE']),
    'root': ('train', [CONFIG, '--cfg-options', 'data_root=5'], ['data_root=5 is no path']),
    'iterations': ('train', [CONFIG, '--cfg-options', 'train_cfg.max_iters=-1'], ['train_cfg.max_iters=-1 must be']),
    'option': ('train', [CONFIG, '--cfg-optoins', 'a=1'], ['unrecognized arguments', 'did you mean --cfg-options?']),
    'launcher': ('train', [CONFIG, '--launcher', 'pytroch'], ['--launcher', 'did you mean pytorch?']),
    'work folder': ('train', [CONFIG, '--work-dir', 'file'], ['--work-dir file', 'is a file']),
    'parts': ('train', [CONFIG, '--accumulate', '0'], ['--accumulate 0 must be a whole number, at least 1']),
    'broken samples': ('train', [CONFIG, '--skip-bad', '-1'], ['--skip-bad']),
    'shown nowhere': ('train', [CONFIG, '--vis', 'tensorbord'], ['--vis', 'did you mean tensorboard?']),
    'checked twice': ('check_dataset', [CONFIG, '--json', 'file', {}], ['--json file exists', '--overwrite']),
    'no argument': ('test', [], ['required: config, checkpoint']),
    'no test': ('test', ['no_data.py', 'nothing.pth'], ['no_data.py has no test_dataloader']),
    'test key': ('test', [CONFIG, 'nothing.pth', '--cfg-options', 'modle.type=x'], ['config has no modle', 'model.type?']),
    'no folder': ('test', [CONFIG, 'text.png', '--out', 'file/x', {}], ['--out file/x', 'is a file']),
    'no run': ('report', ['nothing'], ['nothing holds no training']),
    'a file': ('report', ['file'], ['file holds no training']),
    'torn log': ('report', ['torn'], ['line 2 of', 'scalars.json is no record']),
    'no checkpoint': ('report', ['cut'], ['there is no checkpoint']),
    'report to a folder': ('report', ['cut', '--out', 'folder'], ['--out folder is a folder']),
    'report to nothing': ('report', ['cut', '--out', 'x'], ['--out x has no suffix', 'png']),
    'report to .pgn': ('report', ['cut', '--out', 'x.pgn'], ['suffix .pgn', 'did you mean png?']),
    'report under a file': ('report', ['cut', '--out', 'file/x.png'], ['--out file', 'is a file']),
    'restore nothing': ('restore', ['nothing.png', 'x.png', *RESTORE], ['no image, video or folder nothing.png']),
    'restore text': ('restore', ['text.png', 'x.png', *RESTORE], ['text.png is not an image']),
    'restore to a folder': ('restore', ['image.png', 'folder', *RESTORE], ['OUTPUT folder is a folder']),
    'restore to nothing': ('restore', ['image.png', 'x', *RESTORE], ['no image format without a suffix']),
    'restore to .what': ('restore', ['image.png', 'x.what', *RESTORE], ['no image format .what']),
    'restore 16 bits': ('restore', ['deep.png', 'x.avif', *RESTORE], ['x.avif', 'cannot hold', '16 bits']),
    'restore under a file': ('restore', ['image.png', 'file/x.png', *RESTORE], ['OUTPUT file', 'is a file']),
    'restorer': ('restore', ['image.png', 'x.png', '--config', CONFIG, *RESTORE], ['not an ImageRestorer']),
    'restorer type': ('restore', ['image.png', 'x.png', '--config', 'backbone.py', *RESTORE], ['mmvisattn.TopFormer?']),
    'draw nothing': ('visualize_attention', ['nothing.png'], ['no image nothing.png']),
    'draw text': ('visualize_attention', ['text.png'], ['text.png is no image']),
    'draw half': ('visualize_attention', ['half.jpg'], ['half.jpg is no image']),
    'draw large': ('visualize_attention', ['large.png'], ['large.png has 5000 x 4000 pixels', 'shrink']),
    'draw huge': ('visualize_attention', ['huge.png'], ['huge.png is too large', 'shrink']),
    'draw narrow': ('visualize_attention', ['narrow.png'], ['narrow.png has 3000 x 2 pixels']),
    'draw to a folder': ('visualize_attention', ['image.png', '--out', 'folder'], ['--out folder is a folder']),
    'draw to nothing': ('visualize_attention', ['image.png', '--out', 'x'], ['--out x has no suffix']),
    'draw to .what': ('visualize_attention', ['image.png', '--out', 'x.what'], ['unknown suffix .what']),
    'draw type': ('visualize_attention', ['image.png', '--config', 'backbone.py'], ['did you mean mmvisattn.TopFormer?']),
    'draw backbone': ('visualize_attention', ['image.png', '--backbone', 'smt-tinny'], ['did you mean smt-tiny?']),
    'miniature in a file': ('make_miniature', ['file/x'], ['is a file']),
    'miniature again': ('make_miniature', ['folder'], ['folder exists already']),
    'miniature layout': ('make_miniature', ['x', '--layout', 'cooc'], ['--layout', 'did you mean coco?']),
    'miniature of none': ('make_miniature', ['x', '--num-training', 0], ['num_training=0', 'at least 1']),
    'miniature seed': ('make_miniature', ['x', '--seed', -1], ['seed=-1 must be at least 0']),
    'debug': ('train', [CONFIG, '--debug', '--cfg-options', 'data_root=5'], ['UsageError: ', 'data_root=5 is no path']),
    'debug test': ('test', ['no_data.py', 'nothing.pth', '--debug'], ['UsageError: the config no_data.py has no test_']),
    'debug miniature': ('make_miniature', ['folder', '--debug'], ['UsageError: folder exists already']),
    'debug report': ('report', ['nothing', '--debug'], ['UsageError: nothing holds no training']),
    'debug draw': ('visualize_attention', ['text.png', '--debug'], ['UsageError: text.png is no image']),
    'debug restore': ('restore', ['text.png', 'x.png', '--debug', *RESTORE], ['UsageError: text.png is not an image']),
}


def png_header(width: int, height: int) -> bytes:
    """A PNG file of that size which holds no pixels."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)) + chunk(b'IDAT', b'')


def write_files(folder: Path) -> None:
    """The configs, images and folders that the cases name."""
    for name, content in WRONG.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / 'folder').mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / 'image.png'), pixels)
    cv2.imwrite(str(folder / 'deep.png'), pixels.astype(np.uint16))
    cv2.imwrite(str(folder / 'half.jpg'), pixels)
    (folder / 'half.jpg').write_bytes((folder / 'half.jpg').read_bytes()[:640])
    for name, size in dict(large=(5000, 4000), huge=(60000, 60000), narrow=(3000, 2)).items():
        (folder / f'{name}.png').write_bytes(png_header(*size))


def command(name: str, data_root: Path) -> list[str]:
    """Tool and arguments; settings in a dict, and configs of the test's own, come with the data."""
    tool, arguments, _ = CASES[name]
    words = [str(argument) for argument in arguments if not isinstance(argument, dict)]
    settings = [argument for argument in arguments if isinstance(argument, dict)]
    if name in ('type', 'loader'):
        settings = [{}]
    for extra in settings:
        given = options(data_root, 1, **extra)
        words += [word for word in given if not (name == 'loader' and 'batch_size' in word)]
    return [str(ROOT / 'tools' / f'{tool}.py'), *words]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with the files that the cases name."""
    path = tmp_path_factory.mktemp('misuse')
    write_files(path)
    return path


@pytest.mark.parametrize('name', CASES)
def test_misuse_is_one_line(run_tool_in, folder, miniature, name):
    before = set(folder.rglob('*'))
    done = run_tool_in(folder, *command(name, miniature))
    new = {path.relative_to(folder).parts[0] for path in set(folder.rglob('*')) - before}
    errors, words = done.stderr, CASES[name][2]
    lines = errors.strip().splitlines()
    assert done.returncode == 1 and new <= {'work_dirs'}, errors
    if '--debug' in CASES[name][1]:
        assert lines[0].startswith('Traceback') and all(word in errors for word in words), errors
    else:
        assert len(lines) == 1 and lines[0].startswith('error: ') and all(word in lines[0] for word in words), errors


def test_a_torn_last_line_of_a_log_is_left_out(tmp_path):
    from mmvisattn.cli.training_report import read_run
    write_files(tmp_path)
    assert [record['step'] for record in read_run(tmp_path / 'cut').history] == [1, 2]
