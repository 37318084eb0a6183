"""The packages that mmvisattn can do without until a part that needs them is used."""
from importlib.util import find_spec

EXTRAS = {'mmengine': 'seg', 'mmcv': 'seg', 'mmseg': 'seg', 'mmdet': 'det'}


def installed(package: str) -> bool:
    """Whether an import name can be found, without importing it."""
    return find_spec(package) is not None


def missing_message(package: str, needed_by: str) -> str:
    return (f"{needed_by} needs the package '{package}', which is not installed: "
            f"pip install 'mmvisattn[{EXTRAS[package]}]' (or '[{EXTRAS[package]}-openmmlab]' for OpenMMLab's last releases)")


def require(package: str, needed_by: str) -> None:
    """Raise an ImportError that names the remedy where ``package`` is absent."""
    if not installed(package):
        raise ImportError(missing_message(package, needed_by))
