"""Reading a checkpoint file without running code from it."""
import hashlib
import re
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import torch
from torch import Tensor
from torch.hub import tqdm  # torch's fallback if tqdm is not installed

from mmvisattn.files import written_whole

from .inert import INERT_TYPES

EMA_WRAPPERS = ('state_dict_ema',)
RAW_WRAPPERS = ('model', 'state_dict', 'params')
WEIGHTS = ('ema', 'raw')


def _download(url: str) -> Path:
    """Download a URL into the cache, unless it is cached already; a broken download leaves no file."""
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    folder.mkdir(parents=True, exist_ok=True)
    # Releases of different models share base names (model.pth): the URL's hash keeps them apart.
    name = Path(urlsplit(url).path).name[-100:]
    path = folder / f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{name}'
    if path.exists():
        return path
    try:
        with written_whole(path) as part, urlopen(url) as response, open(part, 'wb') as file:
            size = int(response.headers.get('Content-Length') or 0)
            with tqdm(total=size or None, unit='B', unit_scale=True, desc=name) as bar:
                while block := response.read(2**16):
                    file.write(block)
                    bar.update(len(block))
            if size and file.tell() != size:
                raise OSError(f'the download ended after {file.tell()} of {size} bytes')
    except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
        raise FileNotFoundError(f'cannot download the checkpoint {url}: {error or type(error).__name__}') from error
    return path


def _is_state(content: object) -> bool:
    """Whether this is a state dict. Its methods are not called, because a file can replace them by data."""
    return isinstance(content, Mapping) and len(content) > 0 and all(
        isinstance(name, str) and isinstance(content[name], Tensor) for name in content)


def _assert_plain(state: Mapping[str, Tensor], source: str) -> None:
    odd = [name for name in state if state[name].layout != torch.strided or state[name].is_quantized
           or state[name].is_meta or state[name].is_complex()]
    if odd:
        raise ValueError(f'{source} holds tensors that are sparse, quantized, complex or without values: {", ".join(odd)}')


def _unwrap(content: object, weights: str, source: str) -> tuple[dict[str, Tensor], str]:
    """The state dict in a file's content, and a note on which weights it holds if the file also has averaged ones."""
    if weights not in WEIGHTS:
        raise ValueError(f"weights='{weights}' is not one of {WEIGHTS}")
    note, seen = '', set()
    while isinstance(content, Mapping) and not _is_state(content) and id(content) not in seen:
        seen.add(id(content))
        inner = {name for name in content if isinstance(content[name], Mapping) and len(content[name])}
        kinds = {kind: [name for name in names if name in inner]
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
    if not isinstance(content, Mapping) or not _is_state(content):
        raise ValueError(f'{source} holds no state dict: expected names with tensors, '
                         f'plain or under one of {(*EMA_WRAPPERS, *RAW_WRAPPERS)}')
    _assert_plain(content, source)
    return {name: content[name] for name in content}, note


def _reason(error: Exception) -> str:
    """Why a file was refused: the code that it refers to, or the first line of torch's message."""
    if refused := re.search(r'(?:GLOBAL|global) (\S+)', str(error)):
        return f'it refers to {refused[1]}, which is no data'
    if refused := re.search(r'Unsupported operand \d+', str(error)):
        return f'{refused[0]} in its pickle; save the file again with the default protocol of torch.save'
    lines = re.sub(r'\x1b\[\d*m', '', str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def read_weights(source: str | Path | Mapping, weights: str = 'ema') -> tuple[dict[str, Tensor], str]:
    """Like ``read_checkpoint``, with a note on which weights were read if the file holds several."""
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
    """The tensors of a checkpoint, by their names in the file.

    Args:
        source: a path, a URL (http, https; downloaded once, with a progress bar), or the content of such a file. The
            weights may be the whole file or lie under ``state_dict_ema``, ``model``, ``state_dict`` or ``params``.
        weights: 'ema' reads averaged weights (``state_dict_ema``) if the file has them, as the authors do; 'raw' reads the
            weights before averaging.

    Raises:
        FileNotFoundError: if there is no such file, or the download fails.
        ValueError: if the file is damaged, is no checkpoint, would run code when read, or lacks the raw weights.
    """
    return read_weights(source, weights)[0]
