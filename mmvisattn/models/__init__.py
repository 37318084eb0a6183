"""Everything that configs build under the scope ``mmvisattn``."""
from mmvisattn.dependencies import require

require('mmcv', 'mmvisattn.models')

from . import backbones, heads, necks, restorers  # noqa: E402

__all__ = ['backbones', 'heads', 'necks', 'restorers']
