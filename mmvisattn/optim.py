"""Learning rates that fall with depth."""
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmvisattn.models.backbone import Backbone
from mmvisattn.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Layer-wise learning-rate decay for any backbone of this package.

    The rate of the backbone's last block is that of the optimizer times ``layer_decay_rate``, that of each earlier block by
    the same factor lower, and that of the stem lowest. Necks and heads learn at the optimizer's rate. In a config::

        optim_wrapper = dict(
            optimizer=dict(type='AdamW', lr=1e-4),
            constructor='mmvisattn.LayerDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=0.9))

    Everything else that mmengine's default constructor takes in ``paramwise_cfg`` works besides.
    """

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '',
                   is_dcn_module: int | float | None = None) -> None:
        """As mmengine's, which makes one group per parameter; then each group's rate is lowered.

        Raises:
            ValueError: if ``layer_decay_rate`` is missing, or the model's backbone is none of this package.
        """
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:  # mmengine calls this method for each submodule
            return
        backbone, rate = getattr(module, 'backbone', module), self.paramwise_cfg.get('layer_decay_rate')
        if rate is None:
            raise ValueError('paramwise_cfg needs layer_decay_rate, for example paramwise_cfg=dict(layer_decay_rate=0.9)')
        if not isinstance(backbone, Backbone):
            raise ValueError(f'layer-wise decay is for backbones of mmvisattn; the layers of {type(backbone).__name__} are '
                             'not known')
        layers = backbone.parameter_layers()
        last = max(layers.values())
        for group in params:
            layer = layers.get(id(group['params'][0]))
            if layer is not None:
                group['lr'] = group.get('lr', self.base_lr) * rate**(last + 1 - layer)
        print_log(f'learning rates fall by {rate} per layer, over {last + 1} layers', logger='current')
