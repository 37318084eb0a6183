"""Groups without padding, against the definition with padding and masks."""
import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from hypothesis import given, settings

from mmvisattn.layers import Grouping
from mmvisattn.models.backbones.crossformer import Attention

CPU = torch.device('cpu')


def padded_attention(attention, x, group_size, interval):
    """The paper's form: zero-padded to whole squares, padding masked out of the keys, its outputs cut away."""
    _, height, width, _ = x.shape
    if min(height, width) <= group_size:
        group_size, interval = max(height, width), 1
    side = group_size * interval
    padding = (0, 0, 0, -width % side, 0, -height % side)
    pattern = 'b (y g i) (x h j) c -> (b y x i j) (g h) c'
    axes = dict(g=group_size, h=group_size, i=interval, j=interval)
    groups = rearrange(F.pad(x, padding), pattern, **axes)
    is_padding = rearrange(F.pad(torch.ones_like(x[..., :1]), padding) == 0, pattern, **axes)
    q, k, v = rearrange(attention.qkv(groups), 'g t (s n d) -> s g n t d', s=3, n=attention.num_heads)
    logits = q @ k.mT / q.shape[-1]**0.5 + attention.position_bias(((group_size, group_size),))[0]
    logits = logits.masked_fill(is_padding.mT[:, None], -1e9)
    out = rearrange(logits.softmax(-1) @ v, 'g n t d -> g t (n d)')
    padded_height, padded_width = height + padding[5], width + padding[3]
    out = rearrange(out, '(b y x i j) (g h) c -> b (y g i) (x h j) c', **axes,
                    y=padded_height // side, x=padded_width // side)
    return attention.proj(out[:, :height, :width])


sides = st.integers(1, 23)


@settings(max_examples=60, deadline=None)
@given(height=sides, width=sides, group_size=st.integers(1, 5), interval=st.integers(1, 5))
def test_equals_padding_with_a_mask(height, width, group_size, interval):
    torch.manual_seed(0)
    attention = Attention(32, num_heads=2).double()
    x = torch.randn(2, height, width, 32, dtype=torch.float64)
    grouping = Grouping.of(height, width, group_size, interval, CPU)
    torch.testing.assert_close(attention(x, grouping), padded_attention(attention, x, group_size, interval))


@settings(max_examples=60, deadline=None)
@given(height=sides, width=sides, group_size=st.integers(1, 5), interval=st.integers(1, 5))
def test_grouping_is_a_permutation_and_ungroup_its_inverse(height, width, group_size, interval):
    grouping = Grouping.of(height, width, group_size, interval, CPU)
    x = torch.arange(height * width).view(1, height, width, 1)
    groups = grouping.group(x)
    assert sorted(torch.cat([g.flatten() for g in groups]).tolist()) == list(range(height * width))
    assert [g.shape[1] for g in groups] == [rows * cols for rows, cols in grouping.sizes]
    assert torch.equal(grouping.ungroup(groups, x.shape), x)
    assert len(groups) <= 9


def test_short_distance_groups_are_neighbours():
    first = Grouping.of(6, 6, 3, 1, CPU).group(torch.arange(36).view(1, 6, 6, 1))[0][0, :, 0]
    assert first.tolist() == [0, 1, 2, 6, 7, 8, 12, 13, 14]


def test_long_distance_groups_agree_modulo_the_interval():
    groups, = Grouping.of(6, 6, 3, 2, CPU).group(torch.arange(36).view(1, 6, 6, 1))
    assert groups[0, :, 0].tolist() == [0, 2, 4, 12, 14, 16, 24, 26, 28]
    assert groups[1, :, 0].tolist() == [1, 3, 5, 13, 15, 17, 25, 27, 29]


@pytest.mark.parametrize('height, width', [(7, 7), (3, 40), (40, 5), (1, 1)])
def test_a_small_map_is_one_group(height, width):
    grouping = Grouping.of(height, width, 7, 8, CPU)
    assert grouping.sizes == ((height, width),)
