"""How every tool reports a misuse: one line with the mistake and the way out; with ``--debug`` also the traceback.

``tools/make_miniature.py`` starts without torch, so nothing here imports it.
"""
import argparse
import os
import re
import reprlib
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from pickle import UnpicklingError
from typing import NoReturn

from mmvisattn.files import refused

# So alike are a name and its misspelling, but seldom two names that belong together.
MISSPELLED = 0.85
INTERRUPTED = 128 + signal.SIGINT  # the status of a shell's commands after Ctrl-C


class UsageError(Exception):
    """An error that the user can fix; the message says how."""


def nearest(name: str, known: Iterable[str], least: float = 0.6) -> str | None:
    """The known name that is most like this one, if any is alike; upper and lower case count the same.

    Args:
        name: as given.
        known: right names.
        least: how alike they must be, from 0 to 1 (the measure of ``difflib``).
    """
    by_lower = {other.lower(): other for other in known}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=least)
    return by_lower[found[0]] if found else None


def did_you_mean(name: str | None) -> str:
    """The end of a message: a suggestion, if there is one."""
    return f'; did you mean {name}?' if name else ''


def one_line(error: BaseException) -> str:
    """The type and the message of any error; of an assertion without a message, what it asserts."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)  # that of a KeyError is quoted
    if isinstance(error, UnpicklingError):
        text = f'the checkpoint {refused(error)}'
    if not text and isinstance(error, AssertionError):
        text = str(traceback.extract_tb(error.__traceback__)[-1].line)
    return f'{type(error).__name__}: {" ".join(text.split())}'


def shown(value: object) -> str:
    """A value of a config, shortened where it is long."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    return short.repr(value)


class Parser(argparse.ArgumentParser):
    """A parser with ``--debug``, whose errors are one line as those of all else."""

    def __init__(self, description: str):
        super().__init__(description=description)
        self.add_argument('--debug', action='store_true', help='show the traceback of an error')

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and the nearest option where one is unknown."""
        option = re.search(r'unrecognized arguments:.*?(--[\w-]+)', message)
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        right = None
        if option:
            right = nearest(option[1], re.findall(r'--[\w-]+', self.format_help()))
        elif choice:
            right = nearest(choice[1], re.findall(r'[\w.-]+', choice[2]))
        raise UsageError(f'{message}{did_you_mean(right)} (--help lists all)')


def _is_interruption(error: BaseException | None) -> bool:
    """Whether the user pressed Ctrl-C; libraries may turn that into an error of theirs."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def end_clearly(main: Callable[[], None]) -> None:
    """Run a tool; a ``UsageError`` is printed alone and makes the exit status 1. ``--debug`` keeps the traceback.

    So is what the system says of a file: that it is not to be written, that the disk is full. Ctrl-C makes the status 130.
    """
    try:
        main()
    except (KeyboardInterrupt, Exception) as error:
        if '--debug' in sys.argv[1:]:
            raise
        if _is_interruption(error):
            print('interrupted', file=sys.stderr)
            sys.exit(INTERRUPTED)
        if not isinstance(error, (UsageError, OSError)) or (isinstance(error, OSError) and error.filename is None):
            raise
        sys.exit(f'error: {error if isinstance(error, UsageError) else one_line(error)}')


def check_folder(argument: str, folder: Path) -> None:
    """Fail where nothing could be written into a folder, which need not exist yet.

    Raises:
        UsageError: naming the argument and what is in the way.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise UsageError(f'{argument} {folder}: {existing} is a file, so nothing can be written below it; name a folder')
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f'{argument} {folder}: nothing may be written to {existing}; name another folder')


def check_file(argument: str, path: Path) -> None:
    """Fail where a file could not be written.

    Raises:
        UsageError: naming the argument and what is in the way.
    """
    if path.is_dir():
        raise UsageError(f'{argument} {path} is a folder: name the file to write, such as {path / "picture.png"}')
    check_folder(argument, path.parent)


def check_figure(argument: str, path: Path) -> None:
    """Fail where matplotlib could not write a figure.

    Raises:
        UsageError: naming the argument and what is in the way.
    """
    from matplotlib.backend_bases import FigureCanvasBase
    check_file(argument, path)
    known = sorted(FigureCanvasBase.get_supported_filetypes())
    suffix = path.suffix.lower().removeprefix('.')
    if suffix not in known:
        raise UsageError(f'{argument} {path} has {f"the unknown suffix .{suffix}" if suffix else "no suffix"}, which says '
                         f'the format: one of {", ".join(known)}{did_you_mean(nearest(suffix, known))}')
