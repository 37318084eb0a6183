"""Whole segmentors' and detectors' checkpoints as the papers' authors' code writes them."""
import argparse
import math
import re
from collections import OrderedDict

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn

from mmvisattn.config import without_sync_bn
from mmvisattn.weights.loading import key_map_of

from . import golden
from .uninitialized import Uninitialized

# By the name of a backbone, the recording that lists its tensors.
RECORDINGS = {
    'crossformer-tiny': 'crossformer_t', 'crossformer-small': 'crossformer_dense_s',
    'crossformer-base': 'crossformer_dense_b', 'crossformer-large': 'crossformer_l',
    'crossformer-pp-small': 'crossformer_pp_s', 'crossformer-pp-base': 'crossformer_pp_s',
    'smt-tiny': 'smt_t', 'smt-small': 'smt_s', 'smt-base': 'smt_b', 'smt-large': 'smt_imagenet_l',
    'topformer-tiny': 'topformer_t', 'topformer-small': 'topformer_s', 'topformer-base': 'topformer_b',
}


def model_of(path) -> nn.Module:
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    with Uninitialized():
        return MODELS.build(without_sync_bn(cfg.model)).eval()


def backbone_shapes(model: nn.Module, name: str) -> dict[str, list[int]]:
    """The official names and shapes of a model's backbone, from its recording."""
    recorded = golden.read(RECORDINGS[re.match(r'[a-z]+-(?:pp-)?[a-z]+', name)[0]])['tensors']
    # As in the authors' dense code: no classifier, and one name differs from their ImageNet files.
    shapes = {f'backbone.{official}'.replace('.local_conv.', '.dw_conv.'): shape
              for official, shape in recorded if not re.match(r'head\.|norm\.', official)}
    if name.startswith('crossformer-pp-base'):  # the names of ++S, but 1.5 times as wide
        translate, ours = key_map_of(model.backbone).translate, model.state_dict()
        shapes = {official: list(ours[translate(official, ours)].shape) for official in shapes}
    return shapes


POOL = np.random.default_rng(0).standard_normal(2**20, dtype=np.float32)


def drawn_fast(seed: int, shape: list[int]) -> np.ndarray:
    """Random numbers that no recording was made with, from a place in a pool, because large models take seconds to draw."""
    return POOL.take(np.arange(math.prod(shape)) + seed % len(POOL), mode='wrap').reshape(shape)


def checkpoint(model: nn.Module, name: str) -> dict[str, Tensor]:
    """What the authors would publish for a config: their names of the backbone, mmseg's and mmdet's of the rest."""
    with_injection = type(getattr(model, 'neck', None)).__name__ == 'SemanticInjection'
    shapes = {official: shape for official, shape in backbone_shapes(model, name).items()
              if with_injection or '.SIM.' not in official}
    ours = {'backbone', 'neck'} if with_injection else {'backbone'}  # named by the authors
    for tensor, value in model.state_dict().items():
        if tensor.split('.')[0] not in ours:
            shapes[tensor.replace('decode_head.fuse.', 'decode_head.linear_fuse.')] = list(value.shape)
    state = {official: golden.fill(official, shape, drawn_fast) for official, shape in shapes.items()}
    if 'rpn_head.init_proposal_bboxes.weight' in state:  # boxes (x, y, w, h): the fill would give some a negative size
        state['rpn_head.init_proposal_bboxes.weight'].fill_(0.5)
    return state


def wrapped(state: dict[str, Tensor]) -> dict:
    """A state dict as mmcv 1 and timm save it, with the other contents of such files."""
    return dict(
        meta=dict(epoch=12, iter=np.int64(87960), seed=np.float64(0), CLASSES=('wall', 'building'), PALETTE=np.eye(3)),
        args=argparse.Namespace(lr=1e-4, resume='', opt_betas=None),
        optimizer=dict(state={}, param_groups=[dict(lr=1e-4)]),
        state_dict=OrderedDict(state))


def save(model: nn.Module, name: str, path) -> None:
    torch.save(wrapped(checkpoint(model, name)), path)
