"""Options of ``tools/train.py`` for broken samples."""
from collections.abc import Iterator
from contextlib import contextmanager

from mmvisattn.datasets.files import BadFile
from mmvisattn.training.checked_data import message

from .usage import UsageError


def count(text: str) -> int:
    """The broken samples to replace, on the command line.

    Raises:
        UsageError: if they are no number.
    """
    if not text.isdecimal():
        raise UsageError(f'--skip-bad {text} must be a whole number')
    return int(text)


@contextmanager
def broken_data_named() -> Iterator[None]:
    """While active, broken data is reported in one line, with the way out.

    Raises:
        UsageError: naming the file.
    """
    try:
        yield
    except BadFile as error:
        raise UsageError(f'{message(error)} (--skip-bad N replaces up to N broken samples of the training data; '
                         'tools/check_dataset.py lists all)') from error
