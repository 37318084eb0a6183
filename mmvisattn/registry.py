"""Child registries of mmengine's, so that ``type='mmvisattn.X'`` resolves from any config with no ``custom_imports``.

mmengine imports this file when it meets the scope ``mmvisattn`` and hides an ImportError raised here, so it imports
nothing but mmengine.
"""
from mmvisattn.dependencies import missing_message, require

require('mmengine', 'mmvisattn')

from mmengine import registry as mmengine_registry  # noqa: E402
from mmengine.registry import Registry  # noqa: E402

SCOPE = 'mmvisattn'

MODELS = Registry('model', parent=mmengine_registry.MODELS, scope=SCOPE, locations=['mmvisattn.models'])
DATASETS = Registry('dataset', parent=mmengine_registry.DATASETS, scope=SCOPE, locations=['mmvisattn.datasets'])
TRANSFORMS = Registry('transform', parent=mmengine_registry.TRANSFORMS, scope=SCOPE, locations=['mmvisattn.datasets'])
DATA_SAMPLERS = Registry('data sampler', parent=mmengine_registry.DATA_SAMPLERS, scope=SCOPE, locations=['mmvisattn.engine'])
HOOKS = Registry('hook', parent=mmengine_registry.HOOKS, scope=SCOPE, locations=['mmvisattn.engine'])
METRICS = Registry('metric', parent=mmengine_registry.METRICS, scope=SCOPE, locations=['mmvisattn.evaluation'])
WEIGHT_INITIALIZERS = Registry(
    'weight initializer', parent=mmengine_registry.WEIGHT_INITIALIZERS, scope=SCOPE, locations=['mmvisattn.weights'])


def register_missing(registry: Registry, name: str, package: str) -> None:
    """Register, in place of a part whose ``package`` is absent, an error that says so when the part is built."""

    def build(**_):
        raise ImportError(missing_message(package, f'mmvisattn.{name}'))

    registry.register_module(name=name, module=build)
