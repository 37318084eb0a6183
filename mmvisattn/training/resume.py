"""From which checkpoint a training goes on: the newest one that loads."""
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch

from mmvisattn.files import refused
from mmvisattn.weights.inert import HISTORY_TYPES, NUMPY_TYPES, readable

# What mmengine's Runner looks up when it resumes.
PARTS = ('meta', 'state_dict', 'message_hub', 'optimizer')


@dataclass(frozen=True)
class Checkpoint:
    """A file to resume from.

    Attributes:
        path: of the file.
        epoch: finished epochs.
        iteration: finished iterations.
        seed: of the training; None if the file does not say.
        accumulated: batches for each update of the weights.
        averages: whether averaged weights are in it, besides those that are trained.
    """
    path: Path
    epoch: int
    iteration: int
    seed: int | None
    accumulated: int = 1
    averages: bool = False


def read_training(path: Path) -> Checkpoint:
    """Read a checkpoint completely, without running code from it.

    Raises:
        ValueError: saying why a training cannot go on from it.
    """
    try:
        with zipfile.ZipFile(path) as file:  # torch.load does not compare the checksums
            if damaged := file.testzip():
                raise ValueError(f'it is damaged: {damaged} in it has a wrong checksum')
        with readable([*NUMPY_TYPES, *HISTORY_TYPES]):
            content = torch.load(path, map_location='cpu', weights_only=True, mmap=True)
    except ValueError:
        raise
    except zipfile.BadZipFile:
        raise ValueError('it is empty' if not path.stat().st_size else
                         'it is cut off, or no checkpoint of PyTorch 1.6 or later') from None
    except OSError as error:
        raise ValueError(f'it cannot be read: {error.strerror or error}') from error
    except UnpicklingError as error:
        raise ValueError(f'it {refused(error)}') from error
    except Exception as error:  # a damaged file can make the reader fail in any way
        raise ValueError(f'it cannot be read: {str(error).partition(chr(10))[0] or type(error).__name__}') from error
    if not isinstance(content, dict) or (lacking := [part for part in PARTS if part not in content]):
        raise ValueError(f'it holds no {lacking[0]}' if isinstance(content, dict) else 'it is no checkpoint of a training')
    meta = content['meta']
    if not isinstance(meta, dict) or not all(isinstance(meta.get(key), int) for key in ('epoch', 'iter')):
        raise ValueError('it does not say at which iteration it was saved')
    accumulated = re.search(r'\baccumulative_counts=(\d+)', str(meta.get('cfg')))  # a text, which is code: it is not run
    return Checkpoint(path, meta['epoch'], meta['iter'], meta.get('seed'), int(accumulated[1]) if accumulated else 1,
                      'ema_state_dict' in content)


def _candidates(folders: Iterable[Path]) -> list[Path]:
    """Checkpoints of these folders, the last written first. The best ones hold no optimizer, so they do not count."""
    found = {path.resolve() for folder in folders for path in folder.glob('*.pth')
             if path.is_file() and not path.name.startswith(('best_', 'nonfinite_', '.'))}
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def _noted(work_dir: Path) -> Path | None:
    """The file that ``last_checkpoint`` names; None if it names none."""
    note = work_dir / 'last_checkpoint'
    try:
        path = Path(note.read_text().strip()) if note.is_file() else Path()
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def _iteration(path: Path) -> int | None:
    """The finished iterations of a checkpoint, whose tensors are not read; None if it does not say."""
    try:
        with readable([*NUMPY_TYPES, *HISTORY_TYPES]):
            return int(torch.load(path, map_location='cpu', weights_only=True, mmap=True)['meta']['iter'])
    except Exception:  # a damaged file can make the reader fail in any way
        return None


def _in_order(paths: list[Path], noted: Path | None) -> list[Path]:
    """Checkpoints in the order in which a training goes on from them.

    Times alone do not tell, because a copy of a folder has those of the copying; nor do iterations alone, because another
    training may have left later ones. What ``last_checkpoint`` names is the newest one, and a kill can have come between.

    Args:
        paths: the last written first.
        noted: the one that ``last_checkpoint`` names.
    """
    iterations = {path: _iteration(path) for path in paths}
    last = iterations.get(noted) if noted else None
    if noted is None or last is None:
        return paths
    written = noted.stat().st_mtime_ns

    def key(path: Path) -> tuple[int, int]:
        iteration = iterations[path]
        if iteration is None:  # to be passed over, and reported
            return 3, 0
        if iteration <= last:
            return 1, iteration
        time = path.stat().st_mtime_ns
        return (2, iteration) if time >= written else (0, time)

    return sorted(paths, key=key, reverse=True)


def newest_checkpoint(work_dir: str | Path) -> tuple[Checkpoint | None, list[tuple[Path, str]]]:
    """The newest checkpoint of a training that loads.

    Args:
        work_dir: the work folder. If its ``last_checkpoint`` names a file elsewhere, that folder is searched, too.

    Returns:
        The checkpoint, None if there is none; and those that are newer and do not load, each with the reason.
    """
    passed_over: list[tuple[Path, str]] = []
    noted = _noted(Path(work_dir))
    found = _candidates([Path(work_dir), *([noted.parent] if noted else [])])
    for path in _in_order(found, noted and noted.resolve()):
        try:
            return read_training(path), passed_over
        except ValueError as error:
            passed_over.append((path, str(error)))
    return None, passed_over
