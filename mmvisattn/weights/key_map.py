"""How a family's official names become ours."""
import re
from dataclasses import dataclass

# The parts of a segmentor besides its backbone; ImageNet checkpoints, being of a classifier, never contain them.
OTHER_PARTS = ('neck', 'decode_head', 'auxiliary_head')


@dataclass(frozen=True)
class KeyMap:
    """The names of one family of official checkpoints.

    Attributes:
        rules: (pattern, replacement) of regular expressions, all applied in order to the start of an official name, the
            prefixes ``module.`` and ``backbone.`` already gone. Results name parts of a segmentor: ``backbone.…``,
            ``neck.…``, ``decode_head.…``. Results that end in ``[0]``, ``[1]``, … are the parts of one tensor along its
            first dimension.
        dropped: patterns of official names that have no place in a dense-prediction model: the ImageNet classifier, and
            buffers that are computed instead.
    """
    rules: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()

    def drops(self, name: str) -> bool:
        return any(re.match(pattern, name) for pattern in self.dropped)

    def translate(self, name: str) -> str:
        if name.split('.', maxsplit=1)[0] not in OTHER_PARTS:
            name = 'backbone.' + name
        for pattern, replacement in self.rules:
            name = re.sub('^' + pattern, replacement, name)
        return name


def normalise(name: str) -> str:
    """An official name without the wrappers' prefixes."""
    return name.removeprefix('module.').removeprefix('backbone.')
