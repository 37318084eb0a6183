"""Fetching files: what was cut off is continued, what arrives is checked, and all processes share one copy."""
import hashlib
import os
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from filelock import FileLock
from torch.hub import tqdm  # which stands in for tqdm where that is not installed

SECONDS_WITHOUT_DATA = 60


class DownloadError(FileNotFoundError):
    """A file could not be fetched; the message says why, and what to do."""


def is_url(source: object) -> bool:
    return isinstance(source, str) and source.startswith(('http://', 'https://'))


def home() -> Path:
    """The folder of fetched files: ``$MMVISATTN_HOME``, or ``mmvisattn`` in the user's cache folder."""
    cache = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    return Path(os.environ.get('MMVISATTN_HOME') or f'{cache}/mmvisattn').expanduser()


def is_web_page(path: Path) -> bool:
    """Whether a file is HTML, or the XML that storage services answer with."""
    with path.open('rb') as file:
        return file.read(512).lstrip(b'\xef\xbb\xbf \t\r\n').startswith(b'<')


def _assert_no_web_page(path: Path) -> None:
    if not path.stat().st_size:
        raise DownloadError('it is empty')
    if is_web_page(path):
        raise DownloadError('it is a web page, not a file; open it in a browser')


def _assert_hash(path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    if digest.hexdigest() != sha256:
        raise DownloadError(f'its sha256 is {digest.hexdigest()}, not {sha256}')


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _version(headers: Message) -> str:
    """What tells whether a file has changed on the server; nothing if the server does not say."""
    tag = headers.get('ETag') or ''
    strong = tag if tag.startswith('"') else ''  # a weak tag does not promise equal bytes
    return strong or headers.get('Last-Modified') or ''


def _receive(url: str, part: Path, note: Path) -> bool:
    """Append to ``part`` what it lacks of a file, if the server still has the version in ``note``; whether that is all."""
    version = note.read_text() if note.is_file() else ''
    start = _size(part) if version else 0
    request = Request(url, headers={'Range': f'bytes={start}-', 'If-Range': version} if start else {})
    with urlopen(request, timeout=SECONDS_WITHOUT_DATA) as response:
        if 'text/html' in (response.headers.get('Content-Type') or ''):
            raise DownloadError('it is a web page, not a file; open it in a browser')
        start = start if response.status == HTTPStatus.PARTIAL_CONTENT else 0
        length = response.headers.get('Content-Length')
        size = start + int(length) if length else None
        note.write_text(_version(response.headers))
        with part.open('ab' if start else 'wb') as file, tqdm(
                total=size, initial=start, unit='B', unit_scale=True, desc=part.stem) as bar:
            while block := response.read1(2**16):
                file.write(block)
                bar.update(len(block))
    return size is None or _size(part) == size


def _receive_all(url: str, part: Path, note: Path) -> None:
    """Fetch a file; go on where a connection was cut, as long as each attempt brings more."""
    while True:
        before = _size(part)
        try:
            if _receive(url, part, note):
                return
            reason = 'the connection was cut'
        except HTTPError as error:
            if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not before:
                raise DownloadError(f'the server answers {error.code} {error.reason}') from error
            part.unlink()  # it is as long as the file, or longer
            continue
        except DownloadError:
            raise
        except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
            reason = str(getattr(error, 'reason', error)) or type(error).__name__
        if _size(part) <= before:
            raise DownloadError(reason + (f'; {_size(part)} bytes are kept for the next attempt' if _size(part) else ''))


def fetch(url: str, path: Path, sha256: str | None = None) -> Path:
    """The file behind an address, kept at ``path``; nothing is fetched if it is there.

    What a cut connection left is continued, by this call and by later ones, if the server can. Several processes may ask
    at once: one fetches, the others wait.

    Args:
        url: http or https.
        path: where the file is kept.
        sha256: of the file, where it is known.

    Returns:
        ``path``.

    Raises:
        DownloadError: if the file cannot be fetched, is a web page, or has another hash. Nothing is at ``path`` then.
    """
    if path.exists():  # also in a folder that cannot be written
        return path
    part, note = (path.with_name(path.name + suffix) for suffix in ('.part', '.version'))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f'.{path.name}.lock')):
            if path.exists():
                return path
            _receive_all(url, part, note)
            try:
                _assert_no_web_page(part)
                if sha256:
                    _assert_hash(part, sha256)
            except DownloadError:
                part.unlink()
                raise
            finally:
                note.unlink(missing_ok=True)
            os.replace(part, path)
    except OSError as error:
        raise DownloadError(f'cannot download {url}: {" ".join(str(error).split())}') from error
    return path
