"""Folding the batch norm into the kernel in eval mode changes nothing but the time."""
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from mmvisattn.layers import ConvNormAct


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def layer(**kwargs):
    kwargs = dict(dict(kernel_size=3, norm_cfg=dict(type='BN'), act='ReLU', padding=1), **kwargs)
    made = ConvNormAct(8, 6, **kwargs)
    for p in (made.norm.weight, made.norm.bias, made.norm.running_mean):
        nn.init.normal_(p)
    nn.init.uniform_(made.norm.running_var, 0.5, 2)
    return made.eval()


@pytest.mark.parametrize('side', [2, 30])  # the kernel has more or fewer elements than the map
@pytest.mark.parametrize('settings', [dict(), dict(stride=2), dict(groups=2), dict(kernel_size=1)], ids=str)
def test_eval_mode_is_convolution_norm_activation(side, settings):
    made, x = layer(**settings), torch.randn(2, 8, side, side)
    torch.testing.assert_close(made(x), made.norm(made.conv(x)).relu(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('side', [2, 30])
def test_hooks_and_parametrizations_count(side):
    made, x = layer(), torch.randn(2, 8, side, side)
    plain, seen = made.norm(made.conv(x)), []
    parametrize.register_parametrization(made.conv, 'weight', Doubled())
    doubled = made(x)
    torch.testing.assert_close(doubled, made.norm(made.conv(x)).relu(), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(doubled, plain.relu())
    made.conv.register_forward_hook(lambda *_: seen.append('conv'))
    made.norm.register_forward_hook(lambda *_: seen.append('norm'))
    made(x)
    assert seen == ['conv', 'norm']
