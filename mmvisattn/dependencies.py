"""Packages that are required only by some parts of mmvisattn."""
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

EXTRAS = {'mmengine': 'seg', 'mmcv': 'seg', 'mmseg': 'seg', 'mmdet': 'det', 'mmpretrain': 'cls', 'onnxscript': 'export',
          'onnxruntime': 'export', 'openvino': 'export', 'nncf': 'export'}
OPERATORS = 'mmcv._ext'  # mmcv's compiled part; mmcv-lite lacks it, and so does an mmcv that was made without torch
BUILD = "pip install 'setuptools<82' wheel ninja psutil && " \
        'pip install --no-build-isolation --no-cache-dir --no-deps --force-reinstall '


def installed(package: str) -> bool:
    """Whether an import name can be found, without importing it. (What it is a part of is imported.)"""
    parent = package.rpartition('.')[0]
    return (not parent or installed(parent)) and find_spec(package) is not None


def _is_openmmlab() -> bool:
    """Whether the mm packages are OpenMMLab's."""
    try:
        distribution('onedl-mmengine')
    except PackageNotFoundError:
        return True
    return False


def lacking(package: str) -> str | None:
    """What is missing to import an mm package: itself, or the operators if it imports them; None if nothing is."""
    imports_operators = package == 'mmdet' or (package == 'mmseg' and _is_openmmlab())
    wanted = [package, OPERATORS] if imports_operators else [package]
    return next((name for name in wanted if not installed(name)), None)


def missing_message(package: str, needed_by: str) -> str:
    if package == OPERATORS:
        return (f"{needed_by} needs mmcv's compiled operators, which are not installed: make setup-full, "
                'or outside a clone: ' + BUILD + ("'mmcv<2.2.0'" if _is_openmmlab() else 'onedl-mmcv'))
    if EXTRAS[package] == 'export':
        return (f"{needed_by} needs the package '{package}', which is not installed: make setup-full, or outside a clone: "
                "pip install 'mmvisattn[export]'")
    in_a_clone = 'make setup-full, or outside a clone: ' if package == 'mmdet' else ''
    return (f"{needed_by} needs the package '{package}', which is not installed: {in_a_clone}"
            f"pip install 'mmvisattn[{EXTRAS[package]}]' (or '[{EXTRAS[package]}-openmmlab]' for OpenMMLab's last releases)")


def require(package: str, needed_by: str) -> None:
    """Raise an ImportError with the install command if ``package`` is missing."""
    if not installed(package):
        raise ImportError(missing_message(package, needed_by))
