"""Whole segmentors' and detectors' checkpoints as the papers' authors' code writes them."""
import argparse
import re
from collections import OrderedDict

import golden
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from reduced import without_sync_bn
from torch import Tensor, nn

from mmvisattn.weights.loading import key_map_of

# The recordings that list the names of a backbone, and changes to them.
RECORDINGS = {
    'crossformer-tiny': 'crossformer_t', 'crossformer-small': 'crossformer_dense_s', 'crossformer-base': 'crossformer_dense_b',
    'crossformer-large': 'crossformer_l', 'crossformer-pp-small': 'crossformer_pp_s', 'crossformer-pp-base': 'crossformer_pp_s',
    'smt-tiny': 'smt_t', 'smt-small': 'smt_s', 'smt-base': 'smt_b', 'smt-large': 'smt_imagenet_l',
    'topformer-tiny': 'topformer_t', 'topformer-small': 'topformer_s', 'topformer-base': 'topformer_b',
}


def model_of(path) -> nn.Module:
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    return MODELS.build(without_sync_bn(cfg.model)).eval()


def backbone_tensors(model: nn.Module, name: str) -> dict[str, list[int]]:
    """The official names and shapes of a model's backbone, after the recording of it."""
    recorded = dict(golden.read(RECORDINGS[re.match(r'[a-z]+-(?:pp-)?[a-z]+', name)[0]])['tensors'])
    found = {}
    for official, shape in recorded.items():
        official = re.sub(r'\.local_conv\.', '.dw_conv.', official)
        if re.match(r'head\.|norm\.', official) or ('SIM.' in official and not hasattr(model, 'neck')):
            continue
        if name.startswith('crossformer-pp-base'):  # as ++S, but half as wide again
            ours = key_map_of(model.backbone).translate(f'backbone.{official}', ())
            shape = list(model.state_dict()[ours].shape)
        found[f'backbone.{official}'] = shape
    return found


def checkpoint(model: nn.Module, name: str) -> dict[str, Tensor]:
    """What the authors would publish for a config: their names of the backbone, mmseg's and mmdet's of the rest."""
    is_topformer = type(model.backbone).__name__ == 'TopFormer'
    tensors = backbone_tensors(model, name)
    if is_topformer and not any('SIM' in tensor for tensor in tensors):
        raise ValueError(f'{name}: the recording has no injection')
    if is_topformer and not hasattr(model, 'decode_head'):
        tensors = {official: shape for official, shape in tensors.items() if 'SIM.' not in official}
    for ours, tensor in model.state_dict().items():
        part = ours.split('.')[0]
        if part != 'backbone' and not (is_topformer and part == 'neck' and hasattr(model, 'decode_head')):
            tensors[ours.replace('decode_head.fuse.', 'decode_head.linear_fuse.')] = list(tensor.shape)
    return {official: golden.fill(official, shape) for official, shape in tensors.items()}


def wrapped(state: dict[str, Tensor]) -> dict:
    """A state dict as mmcv 1 and timm save it, with what else such files hold."""
    return dict(
        meta=dict(epoch=12, iter=np.int64(87960), seed=np.float64(0), CLASSES=('wall', 'building'), PALETTE=np.eye(3)),
        args=argparse.Namespace(lr=1e-4, resume='', opt_betas=None),
        optimizer=dict(state={}, param_groups=[dict(lr=1e-4)]),
        state_dict=OrderedDict(state))


def save(model: nn.Module, name: str, path) -> None:
    torch.save(wrapped(checkpoint(model, name)), path)
