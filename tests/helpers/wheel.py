"""The wheel, built from a copy of the tree: building leaves nothing in the tree itself."""
import subprocess
import sys
from pathlib import Path

from .reduced import ROOT

PIP = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--quiet']


def copy_of_the_tree(folder: Path) -> Path:
    """Its files as they are, committed or not."""
    files = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split()
    for name in filter(lambda name: (ROOT / name).is_file(), files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def built_wheel(source: Path, folder: Path) -> Path:
    subprocess.run([*PIP, 'wheel', '--no-deps', '--no-build-isolation', '-w', folder, source], check=True)
    wheel, = folder.glob('mmvisattn-*.whl')
    return wheel
