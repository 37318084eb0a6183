"""What a measurement depends on besides the models."""
import os
import platform
import shutil
import subprocess
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import mmvisattn
from mmvisattn.cli.memory import ALLOCATOR_VARIABLES

PACKAGES = ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmsegmentation', 'onedl-mmdetection', 'mmengine', 'mmcv', 'mmcv-lite',
            'mmsegmentation', 'mmdet')
VARIABLES = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'ONEDNN_MAX_CPU_ISA', 'LD_PRELOAD',
             'GLIBC_TUNABLES', *ALLOCATOR_VARIABLES)
# Above this share of the cores that other processes keep busy, times are noisy.
BUSY = 0.25


def _processor() -> str:
    path = Path('/proc/cpuinfo')
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(': ')[2] for line in lines if line.startswith('model name')), platform.processor())


def _commit() -> str | None:
    """The commit of the clone that the package is in, with a mark if files have changed since; None outside a clone."""
    clone = Path(mmvisattn.__file__).parents[1]
    if not (clone / '.git').exists() or shutil.which('git') is None:
        return None
    done = subprocess.run(['git', 'describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'], cwd=clone,
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def environment(device: str, threads: int | None = None) -> dict:
    """Versions, hardware and settings of this machine."""
    kind = torch.device(device).type
    is_cuda = kind == 'cuda'
    return dict(
        date=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        mmvisattn=mmvisattn.__version__, commit=_commit(), torch=torch.__version__, python=platform.python_version(),
        packages=_versions(), system=platform.platform(), processor=_processor(), cores=os.cpu_count(),
        threads=threads or torch.get_num_threads(), load=os.getloadavg()[0],
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
        device=torch.cuda.get_device_name(device) if is_cuda else kind.upper(), cuda=torch.version.cuda if is_cuda else None)


def busy_warning(found: dict) -> str | None:
    """A line if other processes keep the machine busy."""
    if found['load'] < BUSY * (found['cores'] or 1):
        return None
    return (f'the machine is busy (load {found["load"]:.1f} on {found["cores"]} cores), so times are noisy; ratios, whose '
            'models take turns, are less so')
