"""Loading official weights strictly."""
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import cast

import torch
from torch import Tensor, nn

from .key_map import KeyMap
from .reading import read_weights

BACKBONE = 'backbone.'
IN_CHANNELS = ('strict', 'adapt')


@dataclass
class LoadReport:
    """What ``load_official`` did.

    Attributes:
        loaded: our names of the tensors that were set.
        dropped: official names left out on purpose (the ImageNet classifier, buffers that are computed instead).
        unused: parts of a whole segmentor or detector that are left out because the model is only a backbone.
        unneeded: our names of tensors of stages that are not built, because no output of the backbone needs them.
        absent: parts of the model that the checkpoint does not contain, because it is an ImageNet checkpoint; they keep
            their values.
        weights: which weights were loaded, if the file also holds averaged ones.
        adapted: our names of the stem's kernels that were fitted to other input channels.
    """
    loaded: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    unneeded: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    weights: str = ''
    adapted: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'loaded {len(self.loaded)} tensors' + (f' ({self.weights})' if self.weights else '')]
        if self.dropped:
            lines.append(f'dropped {len(self.dropped)} that only the classifier or the released code uses: '
                         + ', '.join(self.dropped))
        if self.unused:
            lines.append(f'left out, because this model is only a backbone: {", ".join(self.unused)}')
        if self.unneeded:
            lines.append(f'left out {len(self.unneeded)} in stages that no output needs: {", ".join(self.unneeded)}')
        if self.adapted:
            lines.append(f'fitted {len(self.adapted)} kernels to the number of input channels: {", ".join(self.adapted)}')
        if self.absent:
            lines.append(f'not in this checkpoint, left unchanged: {", ".join(self.absent)}')
        return '; '.join(lines)


def part_of(name: str) -> str:
    """The part of a model that a tensor belongs to: 'backbone', 'neck', 'decode_head' …"""
    return name.split('.', maxsplit=1)[0]


def key_map_of(backbone: nn.Module) -> KeyMap:
    """The ``official_names`` of a backbone's class.

    Raises:
        TypeError: if it has none.
    """
    keys = getattr(backbone, 'official_names', None)
    if not isinstance(keys, KeyMap):
        raise TypeError(f'there are no official weights for {type(backbone).__name__}: its class has no official_names')
    return keys


def _expected(module: nn.Module) -> dict[str, Tensor]:
    """The tensors to fill, named as parts of a whole model."""
    prefix = '' if hasattr(module, 'backbone') else BACKBONE
    return {prefix + name: tensor for name, tensor in module.state_dict().items()}


def _with_parts(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, str]:
    """Map each name in a file to the official name that begins with the part of the model.

    Files of whole models have the prefix ``backbone.``, ImageNet checkpoints do not.
    """
    names = {name: name.removeprefix('module.') for name in state}
    if any(name.startswith(BACKBONE) for name in names.values()):
        return names
    parts = {part_of(name) for name in expected}
    return {name: short if part_of(short) in parts else BACKBONE + short for name, short in names.items()}


def _joined(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Concatenate tensors that come in parts (see ``KeyMap``). Incomplete ones are left, so that they are reported."""
    parts: dict[str, dict[int, Tensor]] = defaultdict(dict)
    for name, tensor in found.items():
        if match := re.fullmatch(r'(.+)\[(\d+)\]', name):
            parts[match[1]][int(match[2])] = tensor
    joined = dict(found)
    for name, tensors in parts.items():
        if set(tensors) == set(range(len(tensors))) and len({tensor.shape[1:] for tensor in tensors.values()}) == 1:
            joined[name] = torch.cat([joined.pop(f'{name}[{i}]') for i in range(len(tensors))])
    return joined


def _listed(title: str, names: list[str]) -> str:
    return f'{title} ({len(names)}): {", ".join(sorted(names))}' if names else ''


def is_official(module: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Whether the tensors of a file have the authors' names rather than those of this package.

    Heads and necks can have the same names in both, so the naming that finds more of the model's tensors decides.
    """
    try:
        keys = key_map_of(getattr(module, 'backbone', module))
    except TypeError:
        return False
    expected = _expected(module)
    names = set(_with_parts(state, expected).values())
    translated = {keys.translate(name, expected).split('[')[0] for name in names}
    return len(translated & set(expected)) > len(names & set(expected))


def _with_channels(kernel: Tensor, channels: int) -> Tensor:
    """The kernel of a convolution for another number of input channels.

    For one channel the kernels of all are added, so that a gray image gives what its copy in every channel gave. For more
    channels they are repeated in turn, and scaled to the same sum over all channels of equal kernels.
    """
    given, kernel = kernel.shape[1], kernel.double()
    if channels == 1:
        return kernel.sum(1, keepdim=True)
    return kernel[:, [i % given for i in range(channels)]] * (given / channels)


def _adapt(found: dict[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """Fit the kernels that see the image to the model's input channels; their names.

    Those are the ones that differ in input channels only, and whose file is for gray or RGB images.
    """
    names = [name for name in set(found) & set(expected)
             if found[name].ndim == 4 and found[name].shape[1] in (1, 3)
             and found[name].shape[1] != expected[name].shape[1]
             and found[name][:, :1].shape == expected[name][:, :1].shape]
    found.update({name: _with_channels(found[name], expected[name].shape[1]) for name in names})
    return sorted(names)


def load_official(module: nn.Module, source: str | Path | Mapping, weights: str = 'ema',
                  in_channels: str = 'strict') -> LoadReport:
    """Load weights that the papers' authors published into a model, or that were trained with this package, all or none.

    Args:
        module: a backbone of this package, or a model with such a ``.backbone``: a classifier, segmentor or detector. The
            other parts have the names of mmseg and mmdet in the authors' files, too.
        source: a path, URL or dict, see ``read_checkpoint``. A backbone can also be loaded from the checkpoint of a whole
            classifier, segmentor or detector.
        weights: 'ema' or 'raw', see ``read_checkpoint``.
        in_channels: of a backbone. 'strict': it takes as many input channels as the file's; 'adapt': the first convolutions'
            kernels are added up for one channel, and repeated for more.

    Returns:
        What was loaded, dropped, unused, absent and adapted.

    Raises:
        TypeError: if the backbone's family has no official weights.
        FileNotFoundError: if there is no such file, or the download fails.
        ValueError: if any tensor is missing, left over, given twice or of another shape; then nothing is loaded. Only an
            ImageNet classifier may be left over, and only an ImageNet checkpoint may lack all parts but the backbone.
    """
    if in_channels not in IN_CHANNELS:
        raise ValueError(f"in_channels='{in_channels}' is not one of {IN_CHANNELS}")
    backbone = getattr(module, 'backbone', module)
    keys = key_map_of(backbone)
    is_whole = hasattr(module, 'backbone')
    expected, found = _expected(module), {}
    state, note = read_weights(source, weights)
    report, clashes = LoadReport(weights=note), []
    parts = {part_of(name) for name in expected}
    are_ours = not is_official(module, state)
    for given, name in _with_parts(state, expected).items():
        ours = name if are_ours else keys.translate(name, expected)
        # A classifier's norm and head, which may lie next to a backbone with its prefix, unless this model has them.
        fits = ours in expected and expected[ours].shape == state[given].shape
        if not fits and keys.drops(name.removeprefix(BACKBONE)) and (
                name.startswith(BACKBONE) or part_of(name) not in parts):
            report.dropped.append(given)
            continue
        if ours in found:
            clashes.append(given)
        found[ours] = state[given]
    found = _joined(found)
    unbuilt = tuple(BACKBONE + name for name in getattr(backbone, 'unbuilt_names', tuple)())
    report.unneeded = sorted(name for name in found if name.startswith(unbuilt))
    found = {name: tensor for name, tensor in found.items() if name not in report.unneeded}
    others = {part_of(name) for name in found} - {'backbone'}
    if not is_whole:
        report.unused = sorted(others)
        found = {name: tensor for name, tensor in found.items() if name.startswith(BACKBONE)}
    elif not others:
        report.absent = sorted(parts - {'backbone'})
    if in_channels == 'adapt':
        report.adapted = _adapt(found, expected)
    needed = {name for name in expected if part_of(name) not in report.absent}
    problems = [
        _listed('missing', list(needed - set(found))),
        _listed('left over', list(set(found) - needed)),
        _listed('given twice', clashes),
        _listed('of another shape', [
            f'{name} {tuple(found[name].shape)} for {tuple(expected[name].shape)}'
            for name in needed & set(found) if found[name].shape != expected[name].shape]),
    ]
    if any(problems):
        which = 'the given dict' if isinstance(source, Mapping) else source
        raise ValueError(f'{which} does not fit this {type(module).__name__}. ' + '; '.join(filter(None, problems)))
    prefix = '' if is_whole else BACKBONE
    module.load_state_dict({name.removeprefix(prefix): found[name] for name in needed}, strict=False)
    report.loaded = sorted(needed)
    return report


def load_whole(model: nn.Module, source: str | Path, weights: str = 'ema') -> LoadReport:
    """Fill a whole model strictly, with weights trained with this package or with the authors' for a whole model.

    Args:
        model: a segmentor, detector or restorer; wrappers (``.module``) are looked through.
        source, weights: see ``read_checkpoint``.

    Raises:
        FileNotFoundError: if there is no such file, or it cannot be downloaded.
        ValueError: if the file cannot be read, does not fit, or holds a backbone only.
    """
    while isinstance(getattr(model, 'module', None), nn.Module):  # wrapped for several processes, or for augmentation
        model = cast(nn.Module, model.module)
    state, note = read_weights(source, weights)
    state = {name.removeprefix('module.'): tensor for name, tensor in state.items()}
    takes_official = hasattr(getattr(model, 'backbone', None), 'official_names')
    is_backbone = not any(name.startswith(BACKBONE) for name in state)
    try:
        if takes_official and is_backbone or is_official(model, state):
            report = load_official(model, state)
            report.weights = note
        else:
            model.load_state_dict(state, strict=True)
            report = LoadReport(loaded=sorted(state), weights=note)
    except (TypeError, ValueError, RuntimeError) as error:
        length = 1000 if isinstance(error, RuntimeError) else sys.maxsize  # torch lists every tensor of another model
        reason = shorten(str(error), length, placeholder=' …')
        raise ValueError(f'the checkpoint {source} does not fit the config: {reason}') from error
    if report.absent:
        raise ValueError(f'the checkpoint {source} holds no {" and no ".join(report.absent)}: it can only start a training '
                         "(init_cfg=dict(type='mmvisattn.OfficialPretrained', checkpoint=…) of the backbone)")
    return report
