"""The mapping from a family's official tensor names to ours."""
import re
from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True)
class KeyMap:
    """The names of one family of official checkpoints.

    Attributes:
        rules: regular expressions (pattern, replacement), all applied in order to the start of an official name. Official
            names and results begin with a part of the model: ``backbone.…``, ``decode_head.…``. A result begins with
            ``neck.…`` if the authors' backbone contains what is a neck here. Results that end in ``[0]``, ``[1]``, … are the
            parts of one tensor along its first dimension.
        alternatives: (pattern, replacement) applied to a result that the model does not have; used if the model has the new
            name.
        dropped: patterns of names of the backbone, without ``backbone.``, that only some models need, and that others leave
            out: the ImageNet classifier, and buffers that are computed instead.
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
