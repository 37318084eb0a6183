"""Shared by the tests of the recipes of segmentors and detectors."""
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS

from .uninitialized import Uninitialized


def trained_parameters(cfg):
    """(learning rate, weight decay) of every parameter, by its name."""
    with Uninitialized():
        model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    assert isinstance(wrapper.optimizer, torch.optim.AdamW)
    groups = {id(p): (group['lr'], group['weight_decay']) for group in wrapper.param_groups for p in group['params']}
    return {name: groups[id(p)] for name, p in model.named_parameters()}


def is_named_norm(name):
    """Whether the released recipes exempt it from decay: 'norm' in the authors' names; a cooling layer's is 'ex_ln'."""
    return 'norm' in name and 'cooling.norm' not in name


# Stochastic depth of the last block.
DROP_PATH = {
    'crossformer-tiny': 0.1, 'crossformer-small': 0.2, 'crossformer-base': 0.3, 'crossformer-large': 0.5,
    'crossformer-pp-small': 0.2, 'crossformer-pp-base': 0.3, 'crossformer-pp-large': 0.5, 'crossformer-pp-huge': 0.5,
    'smt-tiny': 0.1, 'smt-small': 0.2, 'smt-base': 0.3, 'smt-large': 0.4,
    'topformer-tiny': 0.1, 'topformer-small': 0.1, 'topformer-base': 0.1, 'restormerencoder-base': 0.1}


def assert_imagenet_preprocessing(preprocessor):
    """RGB with ImageNet's mean and standard deviation, as for all published weights."""
    assert preprocessor.mean == [123.675, 116.28, 103.53] and preprocessor.std == [58.395, 57.12, 57.375]
    assert preprocessor.bgr_to_rgb
