"""The wheel, installed away from the source tree."""
import os
import re
import subprocess
import sys
import zipfile

from helpers.reduced import CONFIGS, ROOT

CHECK = """
import mmvisattn, pathlib
from mmengine.registry import MODELS
root = pathlib.Path(mmvisattn.__file__).parent
assert str(root).startswith({site!r}), root
MODELS.build(dict(type='mmvisattn.TopFormer'))
mim = root / '.mim'
assert (mim / 'model-index.yml').is_file() and (mim / 'tools' / 'train.py').is_file()
print(len([p for p in (mim / 'configs').glob('*/*.py') if p.parent.name != '_base_']))
"""


def test_an_installed_wheel_carries_what_mim_needs(tmp_path):
    site = tmp_path / 'site'
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--quiet']
    source = tmp_path / 'source'
    files = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split()
    for name in filter(lambda name: (ROOT / name).is_file(), files):  # a copy: building leaves nothing in the tree
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([*pip, 'wheel', '--no-deps', '--no-build-isolation', '-w', tmp_path, source], check=True)
    wheel, = tmp_path.glob('mmvisattn-*.whl')
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith('METADATA'))).decode()
        assert 'mmvisattn/py.typed' in archive.namelist()
    assert '# mmvisattn' in metadata and re.findall(r'\]\((?!https?:)', metadata) == []
    subprocess.run([*pip, 'install', '--no-deps', '--no-index', '--target', site, wheel], check=True)
    done = subprocess.run([sys.executable, '-c', CHECK.format(site=str(site))], cwd=tmp_path, capture_output=True,
                          text=True, env=dict(os.environ, PYTHONPATH=str(site)), check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) == len(CONFIGS)
