"""Loading official weights from a config."""
from mmengine.logging import print_log
from torch import nn

from mmvisattn.registry import WEIGHT_INITIALIZERS

from .loading import load_official


@WEIGHT_INITIALIZERS.register_module()
class OfficialPretrained:
    """``init_cfg=dict(type='mmvisattn.OfficialPretrained', checkpoint=…)``: strict loading, with a report in the log.

    Args:
        checkpoint: path or URL of a file that the authors published: a classifier, or a whole segmentor or detector, from
            which the backbone is loaded.
        weights: 'ema' or 'raw', see ``read_checkpoint``.
    """

    def __init__(self, checkpoint: str, weights: str = 'ema'):
        self.checkpoint = checkpoint
        self.weights = weights

    def __call__(self, module: nn.Module) -> None:
        print_log(f'{self.checkpoint}: {load_official(module, self.checkpoint, self.weights)}', logger='current')
