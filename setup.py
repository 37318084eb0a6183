"""Packaging. The wheel also carries ``.mim``: the configs, tools and model index that ``mim`` looks for."""
import re
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (ROOT / 'mmvisattn' / '__init__.py').read_text()).group(1)

ONEDL = ['onedl-mmengine>=0.10.12', 'onedl-mmcv>=2.3.6']
OPENMMLAB = ['mmengine>=0.10.7', 'mmcv>=2.1.0,<2.2.0', 'regex', 'ftfy']
COMMON = ['opencv-python-headless', 'scikit-image', 'scipy', 'matplotlib', 'tqdm']

# Where the two mim look. openmim, as mmengine, takes the module's folder. onedl-mim 0.5.1 takes the folder of the file that
# pip lists first (docs/upstream/onedl-mim.md): mmvisattn-0.1.0.dist-info, if none comes before it by name. Commands would:
# an entry point is listed as ../../../bin/NAME.
MIM_FOLDERS = ['mmvisattn', '_mmvisattn_mim']


def long_description() -> str:
    """The README without its pictures and without links into the repository, which lead nowhere on a package index."""
    text = re.sub(r'^!\[.*?\]\(.*?\)\n+', '', (ROOT / 'README.md').read_text(), flags=re.MULTILINE)
    return re.sub(r'\[([^\]]+)\]\((?!https?:)[^)]*\)', r'\1', text)


class BuildWithMim(build_py):
    """Puts ``.mim`` into folders of the build folder, so that the source tree is not changed."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        for mim in (Path(self.build_lib) / folder / '.mim' for folder in MIM_FOLDERS):
            for part in ('configs', 'tools'):
                copytree(ROOT / part, mim / part, dirs_exist_ok=True, ignore=ignore_patterns('__pycache__'))
            copy(ROOT / 'model-index.yml', mim)


setup(
    name='mmvisattn',
    version=VERSION,
    description='Visual attention backbones, necks and heads for the OpenMMLab stack',
    long_description=long_description(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmvisattn', 'mmvisattn.*']),
    package_data={'mmvisattn': ['py.typed', 'pretrained/*']},
    python_requires='>=3.10',
    # The two lines of the mm packages break each other, so both are extras.
    install_requires=['torch>=2.4', 'numpy', 'einops', 'safetensors', 'filelock', 'pyyaml', 'pillow'],
    extras_require={
        'cls': [*COMMON, *ONEDL, 'onedl-mmpretrain>=1.3.6'],
        'seg': [*COMMON, *ONEDL, 'onedl-mmsegmentation>=1.4.2'],
        'det': [*COMMON, *ONEDL, 'onedl-mmdetection>=3.5.1'],
        'cls-openmmlab': [*COMMON, *OPENMMLAB, 'mmpretrain>=1.2.0'],
        'seg-openmmlab': [*COMMON, *OPENMMLAB, 'mmsegmentation>=1.2.2'],
        'det-openmmlab': [*COMMON, *OPENMMLAB, 'mmdet>=3.3.0'],
        'export': ['onnx', 'onnxscript', 'onnxruntime', 'openvino', 'nncf'],
        'test': ['pytest', 'pytest-cov', 'pytest-xdist', 'hypothesis', 'h5py'],
        'lint': ['ruff', 'mypy'],
    },
    cmdclass=dict(build_py=BuildWithMim),
    zip_safe=False)
