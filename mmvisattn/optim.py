"""Groups of parameters for the optimizer: few and large ones, and layer-wise learning-rate decay."""
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmvisattn.models.backbone import Backbone
from mmvisattn.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GroupedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's default constructor, but with one group for all parameters of equal settings.

    With ``paramwise_cfg``, mmengine makes a group of each parameter. torch's fast forms of optimizers (``foreach``, the
    default on a GPU, and ``fused``) update one group in a few calls, so that hundreds of groups make them slow.
    """

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '',
                   is_dcn_module: int | float | None = None) -> None:
        """Append the groups of a module, with all it contains, to ``params``."""
        super().add_params(params, module, prefix, is_dcn_module)
        if not prefix:  # mmengine calls this method for each submodule, too
            self.change_rates(params, module)
            params[:] = merged(params)

    def change_rates(self, params: list[dict], module: nn.Module) -> None:
        """For subclasses: change the settings of groups, each of which holds one parameter of the whole model."""


def merged(groups: list[dict]) -> list[dict]:
    """Groups of parameters, with one group for those that have equal settings.

    What modules share is in the group once: of two, torch only warns, and updates the parameter twice.
    """
    found: dict[str, dict] = {}
    for group in groups:
        settings = {name: value for name, value in group.items() if name != 'params'}
        found.setdefault(repr(sorted(settings.items())), dict(settings, params=[]))['params'] += group['params']
    return [dict(group, params=list(dict.fromkeys(group['params']))) for group in found.values()]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(GroupedOptimWrapperConstructor):
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

    def change_rates(self, params: list[dict], module: nn.Module) -> None:
        """Reduce the rates of the backbone's groups.

        Raises:
            ValueError: if the model's backbone is not one of this package.
        """
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
