"""Convolutions with batch norm, and folding the norm into the convolution."""
import math
import warnings

import mmcv.cnn
import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.conv_module import efficient_conv_bn_eval_forward
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules import module as torch_module
from torch.nn.modules.batchnorm import _BatchNorm


def has_hooks(*modules: nn.Module) -> bool:
    """Whether calling one of the modules would run hooks; a fast path must not skip such a call.

    torch has no public function for this. ``torch.nn.Module.__call__`` makes the same check.
    """
    hooks = ('_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks')
    return any(getattr(module, name) for module in modules for name in hooks) or any(
        getattr(torch_module, f'_global{name}') for name in hooks)


class ConvNormAct(ConvModule):
    """mmcv's ``ConvModule``; in eval mode the batch norm is folded into the kernel at each call, which saves a pass.

    A small map is passed over in less time than a large kernel, so there the norm follows the convolution.

    mmcv's own option for it replaces the convolution's ``forward`` during each call, which ``torch.compile`` cannot trace.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, norm_cfg: dict | None, act: str | None = None,
                 **kwargs):
        with warnings.catch_warnings():
            # SMT's published weights have a bias before a norm.
            warnings.filterwarnings('ignore', message='Unnecessary conv bias')
            super().__init__(in_channels, out_channels, kernel_size, norm_cfg=norm_cfg,
                             act_cfg=dict(type=act) if act else None, **kwargs)

    def _has_few_pixels(self, x: Tensor) -> bool:
        """Whether the kernel has more elements than the map that it makes, per channel."""
        pixels = x.shape[0] * x.shape[-2] * x.shape[-1] // math.prod(self.conv.stride)
        return not torch.compiler.is_compiling() and pixels < self.conv.weight[0].numel()

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        if self.with_activation and getattr(self.activate, 'inplace', False) and has_hooks(*self.children()):
            self.activate.inplace = False  # torch forbids changing in place what a backward hook watches
        if not isinstance(norm, _BatchNorm):
            return super().forward(x)
        if norm.affine and norm.running_var is not None and norm.weight.dtype != norm.running_var.dtype:
            # FSDP casts parameters but not buffers. torch's batch norm rejects mixed types: run it in the buffers' type.
            precise = {name: p.to(norm.running_var.dtype) for name, p in norm.named_parameters()}
            y = self.conv(x)
            x = functional_call(norm, precise, y.to(norm.running_var.dtype)).to(y.dtype)
        elif norm.training or not norm.track_running_stats or has_hooks(norm, self.conv) or self._has_few_pixels(x):
            return super().forward(x)
        else:
            x = efficient_conv_bn_eval_forward(norm, self.conv, x)
        return self.activate(x) if self.with_activation else x


def fuse_conv_bn(module: nn.Module) -> nn.Module:
    """Fold every batch norm of ``module`` into the convolution before it, in place, and return the module.

    The module is put in eval mode, because the folded norms are those of inference. Do not train it further.

    Raises:
        ValueError: if a batch norm follows no convolution and so cannot be folded.
    """
    module = mmcv.cnn.fuse_conv_bn(module.eval())
    left = [name for name, child in module.named_modules() if isinstance(child, _BatchNorm)]
    if left:
        raise ValueError(f'these batch norms follow no convolution and cannot be folded: {left}')
    return module
