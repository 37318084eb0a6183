"""Packages that are required only by some parts of mmvisattn."""
from importlib.util import find_spec

EXTRAS = {'mmengine': 'seg', 'mmcv': 'seg', 'mmseg': 'seg', 'mmdet': 'det'}


def installed(package: str) -> bool:
    """Whether an import name can be found, without importing it."""
    return find_spec(package) is not None


def missing_message(package: str, needed_by: str) -> str:
    return (f"{needed_by} needs the package '{package}', which is not installed: "
            f"pip install 'mmvisattn[{EXTRAS[package]}]' (or '[{EXTRAS[package]}-openmmlab]' for OpenMMLab's last releases)")


def require(package: str, needed_by: str) -> None:
    """Raise an ImportError with the install command if ``package`` is missing."""
    if not installed(package):
        raise ImportError(missing_message(package, needed_by))
