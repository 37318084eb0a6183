"""Loading official weights strictly."""
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from . import crossformer, restormer, smt, topformer
from .key_map import OTHER_PARTS, KeyMap, normalise
from .reading import read_checkpoint

KEY_MAPS = {
    'CrossFormer': crossformer.KEYS, 'Restormer': restormer.KEYS, 'RestormerEncoder': restormer.ENCODER_KEYS,
    'SMT': smt.KEYS, 'TopFormer': topformer.KEYS}



@dataclass
class LoadReport:
    """What ``load_official`` did.

    Attributes:
        loaded: our names of the tensors that were set.
        dropped: official names left out on purpose (the ImageNet classifier, buffers that are computed instead).
        absent: parts of the model of which the checkpoint holds nothing, because it is an ImageNet checkpoint; they keep
            the values they had.
    """
    loaded: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'loaded {len(self.loaded)} tensors']
        if self.dropped:
            lines.append(f'dropped {len(self.dropped)} that only the classifier or the released code uses: '
                         + ', '.join(self.dropped))
        if self.absent:
            lines.append(f'not in this checkpoint, and left as they were: {", ".join(self.absent)}')
        return '; '.join(lines)


def key_map_of(backbone: nn.Module) -> KeyMap:
    """The key map of the backbone's family.

    Raises:
        TypeError: if no family has one for this class.
    """
    for cls in type(backbone).__mro__:
        if cls.__name__ in KEY_MAPS:
            return KEY_MAPS[cls.__name__]
    raise TypeError(f'there are no official weights for {type(backbone).__name__}, only for {", ".join(KEY_MAPS)}')


def _expected(module: nn.Module) -> dict[str, Tensor]:
    """The tensors to fill, named as parts of a segmentor."""
    if not hasattr(module, 'backbone'):
        return {f'backbone.{name}': tensor for name, tensor in module.state_dict().items()}
    return {name: tensor for name, tensor in module.state_dict().items()
            if name.split('.')[0] in ('backbone', *OTHER_PARTS)}


def _joined(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors given in parts (see ``KeyMap``) as one each. Parts that do not make a whole stay, to be reported."""
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


def load_official(module: nn.Module, source: str | Path | Mapping) -> LoadReport:
    """Fill a model with weights as the papers' authors publish them, all of them or none.

    Args:
        module: a backbone of this package, or anything with one as ``.backbone`` and optionally ``.neck``,
            ``.decode_head`` and ``.auxiliary_head``, such as a segmentor.
        source: a path, URL or dict, see ``read_checkpoint``.

    Returns:
        What was loaded, dropped and absent.

    Raises:
        TypeError: if the backbone's family has no official weights.
        ValueError: if any tensor is missing, left over or of another shape. Nothing is loaded then. Only a classifier
            and, in an ImageNet checkpoint, a whole neck or head may be lacking on either side.
    """
    keys = key_map_of(getattr(module, 'backbone', module))
    expected, found = _expected(module), {}
    report, clashes = LoadReport(), []
    for official, tensor in read_checkpoint(source).items():
        name = normalise(official)
        if keys.drops(name):
            report.dropped.append(official)
            continue
        ours = keys.translate(name)
        if ours in found:
            clashes.append(official)
        found[ours] = tensor
    found = _joined(found)
    present = {name.split('.')[0] for name in found}
    report.absent = sorted({name.split('.')[0] for name in expected} - present - {'backbone'})
    needed = {name for name in expected if name.split('.')[0] not in report.absent}
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
    prefix = '' if hasattr(module, 'backbone') else 'backbone.'
    module.load_state_dict({name.removeprefix(prefix): found[name] for name in needed}, strict=False)
    report.loaded = sorted(needed)
    return report
