"""Options of the tools that concern several processes, and batches in parts."""
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmengine.config import Config

from mmvisattn.training.accumulation import accumulate
from mmvisattn.training.rank_watch import RankLost, watched_ranks

from .usage import UsageError


def is_first_process() -> bool:
    """Whether this is the first of the processes that torchrun, Slurm or MPI has started."""
    ranks = (os.environ.get(name) for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'))
    return next(filter(None, ranks), '0') == '0'


def batches(text: str) -> int:
    """The batches of an update on the command line.

    Raises:
        UsageError: if they are no positive number.
    """
    if not text.isdecimal() or not int(text):
        raise UsageError(f'--accumulate {text} must be a whole number, at least 1')
    return int(text)


def accumulate_batches(cfg: Config, number: int) -> None:
    """Update the weights of a training after several batches, see ``mmvisattn.training.accumulation``.

    Raises:
        UsageError: if a schedule of the config cannot be rescaled.
    """
    try:
        accumulate(cfg, number)
    except ValueError as error:
        raise UsageError(f'--accumulate {number}: {error}') from error


def check_restarts(resume: str | None, max_time: float | None) -> None:
    """Fail where torchrun would start a training again that must not begin anew, or should have ended.

    Raises:
        UsageError: naming the option that is missing or too many.
    """
    if not int(os.environ.get('TORCHELASTIC_MAX_RESTARTS', '0')):
        return
    if resume != 'latest':
        raise UsageError('torchrun --max-restarts starts the training again if a process dies: add --resume, so that it '
                         'goes on from the last checkpoint')
    if max_time is not None:
        raise UsageError('--max-time: torchrun --max-restarts would start the training again at once; leave out one of them')


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """While active, no other training that asks for it, too, writes into a folder. A killed one is in nobody's way.

    Raises:
        UsageError: if another training does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('a+') as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            raise UsageError(f'--work-dir {folder}: another training writes to it ({file.read()}): wait for its end, or '
                             'name another folder') from None
        except OSError:  # a file system without locks
            yield
            return
        with suppress(OSError):  # the disk may be full
            file.truncate(0)
            file.write(f'process {os.getpid()} on {socket.gethostname()}')
            file.flush()
        yield


@contextmanager
def ranks_named() -> Iterator[None]:
    """While active, if a process dies, the others end and name it.

    Raises:
        UsageError: naming the rank.
    """
    try:
        with watched_ranks():
            yield
    except RankLost as error:
        raise UsageError(str(error)) from error
