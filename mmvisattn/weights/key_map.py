"""How a family's official names become ours."""
import re
from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True)
class KeyMap:
    """The names of one family of official checkpoints.

    Attributes:
        rules: (pattern, replacement) of regular expressions, all applied in order to the start of an official name, which
            begins with the part of the model that it belongs to: ``backbone.…``, ``decode_head.…``. So do the results; where
            the authors' backbone holds what is a neck here, they begin with ``neck.…``. Results that end in ``[0]``,
            ``[1]``, … are the parts of one tensor along its first dimension.
        alternatives: (pattern, replacement) applied to a result that the model does not have, taken if the model has what
            they give.
        dropped: patterns of official names of the backbone, without ``backbone.``, that have no place in a dense-prediction
            model: the ImageNet classifier, and buffers that are computed instead.
    """
    rules: tuple[tuple[str, str], ...] = ()
    alternatives: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()

    def drops(self, name: str) -> bool:
        return any(re.match(pattern, name) for pattern in self.dropped)

    def translate(self, name: str, expected: Container[str]) -> str:
        """Our name for an official one; ``expected`` are the names that the model has."""
        for pattern, replacement in self.rules:
            name = re.sub('^' + pattern, replacement, name)
        others = (re.sub('^' + pattern, replacement, name) for pattern, replacement in self.alternatives)
        return name if name in expected else next((other for other in others if other in expected), name)
