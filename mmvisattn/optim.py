"""Layer-wise learning-rate decay."""
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmvisattn.models.backbone import Backbone
from mmvisattn.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Layer-wise learning-rate decay for any backbone of this package.

    The backbone's last block learns at the optimizer's rate times ``layer_decay_rate``. Each earlier block, and finally the
    stem, learns at the next block's rate times that factor. Necks and heads learn at the optimizer's rate. In a config::

        optim_wrapper = dict(
            optimizer=dict(type='AdamW', lr=1e-4),
            constructor='mmvisattn.LayerDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=0.9))

    All other settings of ``paramwise_cfg`` work as in mmengine's default constructor.

    Raises:
        ValueError: if ``layer_decay_rate`` is missing or no rate.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        rate = (paramwise_cfg or {}).get('layer_decay_rate')
        if not isinstance(rate, (int, float)) or not 0 < rate <= 1:
            raise ValueError(f'paramwise_cfg.layer_decay_rate={rate!r} must be a number above 0, at most 1, '
                             'for example paramwise_cfg=dict(layer_decay_rate=0.9)')

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '',
                   is_dcn_module: int | float | None = None) -> None:
        """Like mmengine's, which makes one group per parameter; then the rates of the backbone's groups are reduced.

        Raises:
            ValueError: if the model's backbone is not one of this package.
        """
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:  # mmengine calls this method for each submodule
            return
        backbone, rate = getattr(module, 'backbone', module), self.paramwise_cfg['layer_decay_rate']
        if not isinstance(backbone, Backbone):
            raise ValueError('layer-wise decay needs a backbone of mmvisattn, because the layers of '
                             f'{type(backbone).__name__} are not known')
        layers = backbone.parameter_layers()
        last = max(layers.values())
        for group in params:
            layer = layers.get(id(group['params'][0]))
            if layer is not None:
                group['lr'] = group.get('lr', self.base_lr) * rate**(last + 1 - layer)
        print_log(f'learning rates decay by a factor of {rate} per layer, over {last + 1} layers', logger='current')
