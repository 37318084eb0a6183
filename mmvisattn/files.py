"""Writing files whole or not at all, and what is wrong with those that are read."""
import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError

UNFINISHED = '.unfinished-'
FULL = {errno.ENOSPC: 'the disk is full', errno.EDQUOT: 'the quota of the disk is used up',
        errno.EFBIG: 'the file is larger than allowed'}


def refused(error: UnpicklingError) -> str:
    """Why torch refused a checkpoint, without its advice to run the code in it."""
    found = re.search(r'GLOBAL (\S+)', str(error))
    return f'holds code ({found[1]}), which is never run' if found else 'is damaged'


def _sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to; the file replaces ``path`` when the block ends without an error.

    The folder is created if needed. The suffix is kept, because image writers choose the format by it. When the block has
    ended, the file is on the disk: no loss of power takes it away, or leaves a part of it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'{UNFINISHED}{os.getpid()}-{path.stem[:100]}{path.suffix}')
    try:
        yield unfinished
        _sync(unfinished)
        os.replace(unfinished, path)
        with suppress(OSError):  # some systems cannot open or sync a folder; the new name then lasts when they choose
            _sync(path.parent)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: if it could not be written, as on a full disk; ``path`` is then as it was.
    """
    with written_whole(path) as unfinished:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest[:2**24]):]
        finally:
            os.close(descriptor)


def remove_unfinished(folder: str | Path) -> None:
    """Remove what killed processes have left of ``written_whole`` in a folder that no other process writes to."""
    for path in Path(folder).glob(f'{UNFINISHED}*'):
        with suppress(OSError):
            path.unlink()
