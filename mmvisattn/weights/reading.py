"""Reading a checkpoint file without running code from it."""
import hashlib
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import torch
from safetensors.torch import load_file
from torch import Tensor

from .catalog import find_model, official_weights, similar_models
from .download import fetch, home, is_url, is_web_page
from .inert import INERT_TYPES, readable

EMA_WRAPPERS = ('state_dict_ema',)
RAW_WRAPPERS = ('model', 'state_dict', 'params')
# mmengine's EMAHook saves the averages as state_dict, and the weights of the training here, as 'module.…' beside a counter.
EMA_HOOK = 'ema_state_dict'
WEIGHTS = ('ema', 'raw')


def _path_of(source: str | Path) -> Path:
    """The file that a path, URL or name of a model stands for.

    Raises:
        FileNotFoundError: if there is none, or it cannot be downloaded.
    """
    if is_url(str(source)):
        # Releases of different models share base names (model.pth): the URL's hash keeps them apart.
        name = Path(urlsplit(str(source)).path).name[-100:]
        key = hashlib.sha256(str(source).encode()).hexdigest()[:8]
        return fetch(str(source), home() / 'checkpoints' / f'{key}-{name}')
    path = Path(source).expanduser()
    if path.is_file():
        return path
    entry = find_model(str(source))
    if entry is None:
        hint = '' if path.suffix or path.parent.name else f', and no model of that name; {similar_models(str(source))}'
        raise FileNotFoundError(f'there is no checkpoint {source}{hint}')
    return entry.shipped or official_weights(entry)


def _content(path: Path) -> object:
    """What a file holds; code in it is never run."""
    if path.suffix == '.safetensors':
        return load_file(path)
    with readable(INERT_TYPES):
        return torch.load(path, map_location='cpu', weights_only=True)


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
    if isinstance(content, Mapping) and EMA_HOOK in content and isinstance(content[EMA_HOOK], Mapping):
        note = f'the averaged weights of state_dict, not those of {EMA_HOOK}'
        if weights == 'raw':
            note = f'the weights of {EMA_HOOK}, not the averaged ones of state_dict'
            saved = content[EMA_HOOK]
            content = {name.removeprefix('module.'): saved[name] for name in saved
                       if isinstance(name, str) and name.startswith('module.')}
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


def _reason(error: Exception, path: Path) -> str:
    """Why a file was refused: what it is, the code that it refers to, or the first line of torch's message."""
    if path.is_file():
        if is_web_page(path):
            return 'it is a web page'
        with path.open('rb') as file:
            is_archive = file.read(2) == b'PK'
        if is_archive and not zipfile.is_zipfile(path):
            return 'its end is missing'
    if refused := re.search(r'(?:GLOBAL|global) (\S+)', str(error)):
        return f'it refers to {refused[1]}, which is no data'
    if refused := re.search(r'Unsupported operand \d+', str(error)):
        return f'{refused[0]} in its pickle; save the file again with the default protocol of torch.save'
    lines = re.sub(r'\x1b\[\d*m', '', str(error)).strip().splitlines()
    is_sentence = lines and ' ' in lines[0]  # not the mere operand of a damaged pickle
    return lines[0] if is_sentence else f'{type(error).__name__} {"".join(lines[:1])}'.strip()


def read_weights(source: str | Path | Mapping, weights: str = 'ema') -> tuple[dict[str, Tensor], str]:
    """Like ``read_checkpoint``, with a note on which weights were read if the file holds several."""
    if isinstance(source, Mapping):
        return _unwrap(source, weights, 'the given dict')
    path = _path_of(source)
    try:
        content = _content(path)
    except Exception as error:  # a damaged or hostile file can make the reader fail in any way
        place = '' if str(path) == str(source) else f' (kept at {path})'
        again = '; delete it to fetch it again' if path.is_relative_to(home()) else ''
        raise ValueError(f'{source}{place} cannot be read as a checkpoint (code in it is never run): '
                         f'{_reason(error, path)}{again}') from error
    return _unwrap(content, weights, str(source))


def read_checkpoint(source: str | Path | Mapping, weights: str = 'ema') -> dict[str, Tensor]:
    """The tensors of a checkpoint, by their names in the file.

    Args:
        source: a path, a URL (http, https; fetched once, with a progress bar), the name of a model (``list_models``), or
            what such a file contains. The weights may be the whole file or lie under ``state_dict_ema``, ``model``,
            ``state_dict`` or ``params``.
        weights: 'ema' reads averaged weights if the file has them (``state_dict_ema``, or ``state_dict`` of a training with
            EMAHook), as the authors do; 'raw' reads the weights before averaging.

    Raises:
        FileNotFoundError: if there is no such file, or the download fails.
        ValueError: if the file is damaged, is no checkpoint, would run code when read, or lacks the raw weights.
    """
    return read_weights(source, weights)[0]
