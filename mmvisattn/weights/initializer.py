"""Loading official weights from a config."""
from mmengine.logging import print_log
from torch import nn

from mmvisattn.registry import WEIGHT_INITIALIZERS

from .loading import load_official


@WEIGHT_INITIALIZERS.register_module()
class OfficialPretrained:
    """``init_cfg=dict(type='mmvisattn.OfficialPretrained', checkpoint=…)``: strict loading, with a report in the log.

    Args:
        checkpoint: a path or URL of a file as the authors publish it or as tools/train.py writes it, or the name of a model
            ('smt-small'): a classifier, or a whole segmentor or detector, of which the backbone is taken.
        weights: 'ema' or 'raw', see ``read_checkpoint``.
        in_channels: 'strict' or 'adapt', see ``load_official``.
    """

    def __init__(self, checkpoint: str, weights: str = 'ema', in_channels: str = 'strict'):
        self.checkpoint = checkpoint
        self.weights = weights
        self.in_channels = in_channels

    def __call__(self, module: nn.Module) -> None:
        report = load_official(module, self.checkpoint, self.weights, self.in_channels)
        print_log(f'{self.checkpoint}: {report}', logger='current')
