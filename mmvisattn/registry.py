"""Child registries of mmengine's, so that ``type='mmvisattn.X'`` resolves from any config without ``custom_imports``.

mmengine imports this module to resolve the scope and swallows any ImportError; therefore it imports nothing but mmengine.
"""
from mmvisattn.dependencies import missing_message, require

require('mmengine', 'mmvisattn')

from mmengine import registry as mmengine_registry  # noqa: E402
from mmengine.registry import Registry  # noqa: E402

SCOPE = 'mmvisattn'


def child(name: str, parent: Registry, *locations: str) -> Registry:
    """A registry of this package; mmengine imports the modules in ``locations`` to fill it."""
    return Registry(name, parent=parent, scope=SCOPE, locations=[f'{SCOPE}.{location}' for location in locations])


MODELS = child('model', mmengine_registry.MODELS, 'models', 'restoration.image_restorer', 'restoration.dncnn')
DATASETS = child('dataset', mmengine_registry.DATASETS, 'datasets', 'restoration.datasets', 'restoration.camera_noise',
                 'training.checked_data', 'training.seeded_augmentation')
TRANSFORMS = child('transform', mmengine_registry.TRANSFORMS, 'restoration.datasets', 'restoration.degradations',
                   'analysis.corruptions')
DATA_SAMPLERS = child('data sampler', mmengine_registry.DATA_SAMPLERS, 'restoration.progressive_patches',
                      'training.samplers')
LOOPS = child('loop', mmengine_registry.LOOPS, 'training.loops')
HOOKS = child('hook', mmengine_registry.HOOKS, 'training.checked_data', 'training.checkpoint_hook', 'training.preemption',
              'training.random_state', 'training.watching')
OPTIM_WRAPPER_CONSTRUCTORS = child(
    'optimizer wrapper constructor', mmengine_registry.OPTIM_WRAPPER_CONSTRUCTORS, 'optim')
METRICS = child('metric', mmengine_registry.METRICS, 'restoration.metric', 'restoration.camera_noise')
VISBACKENDS = child('vis_backend', mmengine_registry.VISBACKENDS, 'training.vis_backend')
WEIGHT_INITIALIZERS = child('weight initializer', mmengine_registry.WEIGHT_INITIALIZERS, 'weights')


def register_missing(registry: Registry, name: str, package: str) -> None:
    """Register a stub that raises an ImportError when built, for a part whose ``package`` is missing."""

    def build(**_):
        raise ImportError(missing_message(package, f'mmvisattn.{name}'))

    registry.register_module(name=name, module=build)
