"""Reading a checkpoint file without running code from it."""
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit

import torch
from torch import Tensor

from .inert import INERT_TYPES

EMA_WRAPPERS = ('state_dict_ema',)
RAW_WRAPPERS = ('model', 'state_dict', 'params')
WEIGHTS = ('ema', 'raw')


def _download(url: str) -> Path:
    """The file behind a URL, from the cache if it was fetched before; a broken download leaves nothing behind."""
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    folder.mkdir(parents=True, exist_ok=True)
    # Releases of different models share base names (model.pth): the URL's hash keeps them apart.
    path = folder / f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{Path(urlsplit(url).path).name}'
    if not path.exists():
        try:
            torch.hub.download_url_to_file(url, str(path))
        except URLError as error:
            raise FileNotFoundError(f'cannot download the checkpoint {url}: {error}') from error
    return path


def _is_state(content: object) -> bool:
    return isinstance(content, Mapping) and bool(content) and all(isinstance(v, Tensor) for v in content.values())


def _unwrap(content: object, weights: str, source: str) -> tuple[dict[str, Tensor], str]:
    """The state dict within a file's content, and where it was found, in words, if the file has averaged weights too."""
    if weights not in WEIGHTS:
        raise ValueError(f"weights='{weights}' is not one of {WEIGHTS}")
    note = ''
    while isinstance(content, Mapping) and not _is_state(content):
        kinds = {kind: [name for name in names if isinstance(content.get(name), Mapping) and content[name]]
                 for kind, names in zip(WEIGHTS, (EMA_WRAPPERS, RAW_WRAPPERS))}
        if weights == 'raw' and kinds['ema'] and not kinds['raw']:
            raise ValueError(f"{source} holds averaged weights only ({kinds['ema'][0]}), none for weights='raw'")
        wrapper = next(iter([*kinds[weights], *kinds['ema'], *kinds['raw']]), None)
        if wrapper is None:
            break
        if kinds['ema']:
            others = [name for names in kinds.values() for name in names if name != wrapper]
            note = f'the weights of {wrapper}' + (f', not those of {" or ".join(others)}' if others else '')
        content = content[wrapper]
    if not _is_state(content):
        raise ValueError(f'{source} holds no state dict: expected names with tensors, '
                         f'plain or under one of {(*EMA_WRAPPERS, *RAW_WRAPPERS)}')
    return dict(content), note  # type: ignore[call-overload]


def _reason(error: Exception) -> str:
    """Why a file was refused: what it refers to that is no data, or the first line of torch's message."""
    if refused := re.search(r'(?:GLOBAL|global) (\S+)', str(error)):
        return f'it refers to {refused[1]}, which is no data'
    lines = re.sub(r'\x1b\[\d*m', '', str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def read_weights(source: str | Path | Mapping, weights: str = 'ema') -> tuple[dict[str, Tensor], str]:
    """As ``read_checkpoint``, with a note on which weights these are, for files that hold several."""
    if isinstance(source, Mapping):
        return _unwrap(source, weights, 'the given dict')
    is_url = str(source).startswith(('http://', 'https://'))
    path = _download(str(source)) if is_url else Path(source).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'there is no checkpoint {source}')
    try:
        with torch.serialization.safe_globals(INERT_TYPES):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged or hostile file can make the reader fail in any way
        raise ValueError(f'{source} cannot be read as a checkpoint (code in it is never run): {_reason(error)}') from error
    return _unwrap(content, weights, str(source))


def read_checkpoint(source: str | Path | Mapping, weights: str = 'ema') -> dict[str, Tensor]:
    """The tensors of a checkpoint by the names it gives them.

    Args:
        source: a path, a URL (http, https; fetched once, with a progress bar), or what such a file contains. The weights
            may be the whole file or lie under ``state_dict_ema``, ``model``, ``state_dict`` or ``params``.
        weights: 'ema' takes averaged weights (``state_dict_ema``) where the file has them, as the authors do; 'raw' takes
            those that they are the average of.

    Raises:
        FileNotFoundError: if there is no such file, or the download fails.
        ValueError: if the file is damaged, is no checkpoint, wants to run code when read, or has no raw weights.
    """
    return read_weights(source, weights)[0]
