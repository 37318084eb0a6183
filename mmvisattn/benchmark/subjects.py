"""What is measured: models by name, config or registered type, and the parts of a model that are measured apart."""
import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from mmvisattn.inference import Predictor, load
from mmvisattn.restoration.image_restorer import ImageRestorer
from mmvisattn.weights import ModelEntry, find_model, similar_models
from mmvisattn.without_torchvision import import_mmpretrain

PARTS = ('backbone', 'logits', 'output')

# The models of other papers that users would pick instead, with the settings of mmseg's configs, and chains of ours.
NAMED = {
    'swin-tiny': 'mmseg.SwinTransformer(embed_dims=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7)',
    'mit-b0': 'mmseg.MixVisionTransformer(embed_dims=32, num_layers=[2, 2, 2, 2], num_heads=[1, 2, 5, 8])',
    'mit-b2': 'mmseg.MixVisionTransformer(embed_dims=64, num_layers=[3, 4, 6, 3], num_heads=[1, 2, 5, 8])',
    'mscan-small': 'mmseg.MSCAN(embed_dims=[64, 128, 320, 512], mlp_ratios=[8, 8, 4, 4], depths=[2, 2, 4, 2], '
                   "norm_cfg=dict(type='BN'))",
    'mobilenetv2': 'mmseg.MobileNetV2()',
    'pidnet-small': 'mmseg.PIDNet(in_channels=3, channels=32, ppm_channels=96, num_stem_blocks=2, num_branch_blocks=3)',
    'resnet-50': 'mmseg.ResNet(depth=50)',
    'topformer-tiny-injection': "mmvisattn.TopFormer(arch='tiny') + "
                                'mmvisattn.SemanticInjection(in_channels=[16, 32, 64, 96], out_channels=128)',
    'topformer-base-injection': "mmvisattn.TopFormer(arch='base') + "
                                'mmvisattn.SemanticInjection(in_channels=[32, 64, 128, 160], out_channels=256)',
    'crossformer-small-square': "mmvisattn.CrossFormer(arch='small', lda_scope='square')",
    'restormer': 'mmvisattn.Restormer()',
}


def _value(node: ast.expr) -> Any:
    """A literal, or ``dict(key=literal)``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
    return ast.literal_eval(node)


def _chain(node: ast.expr) -> list[dict]:
    """The configs of ``scope.Type``, ``scope.Type(key=value)`` and sums of these."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _chain(node.left) + _chain(node.right)
    kind, keywords = (node.func, node.keywords) if isinstance(node, ast.Call) and not node.args else (node, [])
    if not isinstance(kind, ast.Attribute):
        raise ValueError('not scope.Type')
    return [dict({str(keyword.arg): _value(keyword.value) for keyword in keywords}, type=ast.unparse(kind))]


def registered(text: str) -> list[dict] | None:
    """The configs of modules that are applied one after the other, from ``mmseg.ResNet(depth=50) + mmseg.FPN(…)``.

    Returns:
        One dict per module; None if the text is no such expression, or the name of a config.
    """
    if text.endswith('.py'):
        return None
    try:
        return _chain(ast.parse(text, mode='eval').body)
    except (ValueError, SyntaxError):
        return None


def entry_of(text: str) -> ModelEntry | None:
    """What the table of models says of a model that is given by its name or by the path of its config."""
    return find_model(Path(text).stem if text.endswith('.py') else text)


def is_known(text: str) -> bool:
    """Whether a text can stand for a model. (Whether it can be built is found out when it is.)"""
    return text in NAMED or find_model(text) is not None or Path(text).suffix == '.py' or registered(text) is not None


def unknown_message(text: str) -> str:
    return (f"there is no model '{text}': give a config, a name ({', '.join(NAMED)}; of ours {similar_models(text)}), or a "
            "registered type with its arguments, such as 'mmseg.ResNet(depth=50)'")


def build(text: str) -> nn.Module:
    """Build a model, on the CPU.

    Args:
        text: a short name (``NAMED``), a name of ``mmvisattn.list_models()``, the path of a config, or a registered type
            with its arguments; a sum of types is a chain.

    Raises:
        ValueError: if there is no such model.
    """
    chain = registered(NAMED.get(text, text)) if find_model(text) is None else None
    if chain is None:
        if not is_known(text):
            raise ValueError(unknown_message(text))
        loaded = load(text, device='cpu')
        return loaded.model if isinstance(loaded, Predictor) else loaded
    modules = []
    for cfg in chain:
        scope = cfg['type'].split('.')[0]
        if scope == 'mmpretrain':
            import_mmpretrain()
        with DefaultScope.overwrite_default_scope(scope):  # whose parts are named without it
            modules.append(MODELS.build(cfg))
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


def _samples(x: Tensor) -> list[Any]:
    """The samples that mmdet's detectors take with images: they hold the sizes."""
    from mmdet.structures import DetDataSample
    size = tuple(x.shape[-2:])
    return [DetDataSample(metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size, batch_input_shape=size,
                                        scale_factor=(1.0, 1.0))) for _ in x]


def parts_of(model: nn.Module) -> dict[str, Callable[[Tensor], Any]]:
    """The parts of a model that are measured apart, each a function of images (B, C, H, W).

    'backbone'; of a classifier, segmentor or detector also 'logits', everything up to the heads' raw outputs, and 'output':
    the class, the label map at the image's size, or the boxes; of a restorer 'output', the restored image.
    """
    whole: Any = model
    if not isinstance(getattr(whole, 'backbone', None), nn.Module):
        return dict(backbone=whole)
    if isinstance(whole, ImageRestorer):
        return dict(backbone=whole.backbone, output=whole.restore)
    if any(base.__module__.startswith('mmdet.') for base in type(whole).__mro__):
        return dict(backbone=whole.backbone, logits=lambda x: whole(x, _samples(x), mode='tensor'),
                    output=lambda x: whole.predict(x, _samples(x)))
    return dict(backbone=whole.backbone, logits=whole, output=whole.predict)


def in_channels(model: nn.Module) -> int:
    """Channels of the images that a model takes."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    return 3


def tensors_in(outputs: Any) -> list[Tensor]:
    """The tensors of nested outputs that have a gradient."""
    if torch.is_tensor(outputs):
        return [outputs] if outputs.requires_grad else []
    children = outputs.values() if isinstance(outputs, dict) else outputs if isinstance(outputs, (list, tuple)) else ()
    return [tensor for child in children for tensor in tensors_in(child)]
