"""From which checkpoint a training goes on: the newest one that loads."""
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

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
    """
    path: Path
    epoch: int
    iteration: int
    seed: int | None
    accumulated: int = 1


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
        raise ValueError('it is empty' if not path.stat().st_size else 'it is cut off, or no checkpoint') from None
    except OSError as error:
        raise ValueError(f'it cannot be read: {error.strerror or error}') from error
    except Exception as error:  # a damaged file can make the reader fail in any way
        raise ValueError(f'it cannot be read: {str(error).partition(chr(10))[0] or type(error).__name__}') from error
    if not isinstance(content, dict) or (lacking := [part for part in PARTS if part not in content]):
        raise ValueError(f'it holds no {lacking[0]}' if isinstance(content, dict) else 'it is no checkpoint of a training')
    meta = content['meta']
    if not isinstance(meta, dict) or not all(isinstance(meta.get(key), int) for key in ('epoch', 'iter')):
        raise ValueError('it does not say at which iteration it was saved')
    accumulated = re.search(r'\baccumulative_counts=(\d+)', str(meta.get('cfg')))  # a text, which is code: it is not run
    return Checkpoint(path, meta['epoch'], meta['iter'], meta.get('seed'), int(accumulated[1]) if accumulated else 1)


def _candidates(folders: Iterable[Path]) -> list[Path]:
    """Checkpoints of these folders, the last written first. The best ones hold no optimizer, so they do not count."""
    found = {path.resolve() for folder in folders for path in folder.glob('*.pth')
             if path.is_file() and not path.name.startswith(('best_', '.'))}
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def _noted_folder(work_dir: Path) -> list[Path]:
    """The folder of the file that ``last_checkpoint`` names: hooks may write elsewhere than to the work folder."""
    note = work_dir / 'last_checkpoint'
    try:
        text = note.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return []
    return [Path(text).parent] if text and Path(text).is_file() else []


def newest_checkpoint(work_dir: str | Path) -> tuple[Checkpoint | None, list[tuple[Path, str]]]:
    """The newest checkpoint of a training that loads.

    Args:
        work_dir: the work folder. If its ``last_checkpoint`` names a file elsewhere, that folder is searched, too.

    Returns:
        The checkpoint, None if there is none; and those that are newer and do not load, each with the reason.
    """
    passed_over: list[tuple[Path, str]] = []
    for path in _candidates([Path(work_dir), *_noted_folder(Path(work_dir))]):
        try:
            return read_training(path), passed_over
        except ValueError as error:
            passed_over.append((path, str(error)))
    return None, passed_over
