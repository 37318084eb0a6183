"""Reading a checkpoint file without running code from it."""
import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit

import torch
from torch import Tensor

WRAPPERS = ('model', 'state_dict', 'state_dict_ema', 'params')

# CrossFormer's and SMT's files carry their training configuration beside the weights: read it as plain data.
INERT: list = [(OrderedDict, 'yacs.config.CfgNode')]


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


def _unwrap(content: object, source: str) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        wrapper = next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if wrapper is None:
            break
        content = content[wrapper]
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(f'{source} holds no state dict: expected names with tensors, '
                         f'plain or under one of {WRAPPERS}')
    return dict(content)


def read_checkpoint(source: str | Path | Mapping) -> dict[str, Tensor]:
    """The tensors of a checkpoint by the names it gives them.

    Args:
        source: a path, a URL (http, https; fetched once, with a progress bar), or what such a file contains. The weights
            may be the whole file or lie under ``model``, ``state_dict``, ``state_dict_ema`` or ``params``.

    Raises:
        FileNotFoundError: if there is no such file, or the download fails.
        ValueError: if the file is damaged, is no checkpoint, or wants to run code when read.
    """
    if isinstance(source, Mapping):
        return _unwrap(source, 'the given dict')
    is_url = str(source).startswith(('http://', 'https://'))
    path = _download(str(source)) if is_url else Path(source).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'there is no checkpoint {source}')
    try:
        with torch.serialization.safe_globals(INERT):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).strip().splitlines()
        raise ValueError(f'{source} cannot be read as a checkpoint (code in it is never run): '
                         f'{reason[0] if reason else type(error).__name__}') from error
    return _unwrap(content, str(source))
