"""The wheel, installed away from the source tree."""
import os
import re
import subprocess
import sys
import zipfile

from helpers.reduced import CONFIGS, ROOT
from helpers.wheel import built_wheel, copy_of_the_tree

MANIFEST = (ROOT / 'MANIFEST.in').read_text()
CHECK = """
import mmvisattn, numpy, pathlib, runpy, sys
from importlib.metadata import distribution
from mmengine.registry import MODELS
root = pathlib.Path(mmvisattn.__file__).parent
assert str(root).startswith({site!r}), root
MODELS.build(dict(type='mmvisattn.TopFormer'))
def files(folder):
    return {{str(p.relative_to(folder)) for p in folder.rglob('*.*') if p.suffix != '.pyc'}}
mim = root / '.mim'
assert (mim / 'model-index.yml').is_file() and (mim / 'tools' / 'train.py').is_file()
first = distribution('mmvisattn').files[0]  # in whose folder onedl-mim looks
assert files(mim) == files(root.parent / first.parts[0] / '.mim'), first
predicted = mmvisattn.load('segmentation', device='cpu').predict(numpy.zeros((64, 64, 3), 'uint8'))
assert predicted.labels.shape == (64, 64)
assert mmvisattn.load(mmvisattn.list_models('topformer*simple-head*')[0]).config.model.backbone.type == 'mmvisattn.TopFormer'
name = 'topformer-tiny_simple-head_1xb16-850_miniature-96x96'
print(len([p for p in (mim / 'configs').glob('*/*.py') if p.parent.name != '_base_']))
sys.argv = ['mmvisattn', 'train', name]
runpy.run_module('mmvisattn', run_name='__main__')
"""


def test_the_source_distribution_carries_all_that_the_wheel_needs():
    suffixes = {part: {word[1:] for words in re.findall(rf'^recursive-include {part} (.*)$', MANIFEST, re.MULTILINE)
                       for word in words.split()} for part in ('configs', 'tools')}
    for part, included in suffixes.items():
        files = [path for path in (ROOT / part).rglob('*') if path.is_file() and '__pycache__' not in path.parts]
        assert files and not [path for path in files if path.suffix not in included]


def test_an_installed_wheel_carries_what_mim_needs(tmp_path):
    site = tmp_path / 'site'
    wheel = built_wheel(copy_of_the_tree(tmp_path / 'source'), tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith('METADATA'))).decode()
        assert 'mmvisattn/py.typed' in archive.namelist()
        archive.extractall(site)
    assert '# mmvisattn' in metadata and re.findall(r'\]\((?!https?:)', metadata) == []
    done = subprocess.run([sys.executable, '-c', CHECK.format(site=str(site))], cwd=tmp_path, capture_output=True,
                          text=True, env=dict(os.environ, PYTHONPATH=str(site)), check=False)
    assert 'error: train_dataloader: data/miniature does not exist' in done.stderr, done.stderr
    assert str(len(CONFIGS)) in done.stdout.splitlines() and done.returncode == 1
