"""Groups without padding, against the definition with padding and masks."""
import hypothesis.strategies as st
import torch
import torch.nn.functional as F
from einops import rearrange
from hypothesis import given, settings

from mmvisattn.models.crossformer import grouping as grouping_module
from mmvisattn.models.crossformer.backbone import GroupAttention
from mmvisattn.models.crossformer.dynamic_position_bias import bias_between_tokens
from mmvisattn.models.crossformer.grouping import Grouping

CPU = torch.device('cpu')


def padded_attention(attention, x, rows, cols, interval):
    """The paper's form: zero-padded to whole groups, padding masked out of the keys, its outputs discarded."""
    _, height, width, _ = x.shape
    padding = (0, 0, 0, -width % (cols * interval), 0, -height % (rows * interval))
    pattern = 'b (y g i) (x h j) c -> (b y x i j) (g h) c'
    axes = dict(g=rows, h=cols, i=interval, j=interval)
    groups = rearrange(F.pad(x, padding), pattern, **axes)
    is_padding = rearrange(F.pad(torch.ones_like(x[..., :1]), padding) == 0, pattern, **axes)
    q, k, v = attention.heads(groups)
    bias = bias_between_tokens(attention.position_bias([(rows, cols)])[0], 0, rows)
    logits = (q @ k.mT / q.shape[-1]**0.5 + bias).masked_fill(is_padding.mT[:, None], -1e9)
    out = rearrange(logits.softmax(-1) @ v, 'g n t d -> g t (n d)')
    padded_height, padded_width = height + padding[5], width + padding[3]
    out = rearrange(out, '(b y x i j) (g h) c -> b (y g i) (x h j) c', **axes,
                    y=padded_height // (rows * interval), x=padded_width // (cols * interval))
    return attention.proj(out[:, :height, :width])


sides = st.integers(1, 23)


small = st.integers(1, 5)


@settings(max_examples=60, deadline=None)
@given(height=sides, width=sides, rows=small, cols=small, interval=small)
def test_equals_padding_with_a_mask(height, width, rows, cols, interval):
    torch.manual_seed(0)
    attention = GroupAttention(32, num_heads=2).double()
    x = torch.randn(2, height, width, 32, dtype=torch.float64)
    grouping = Grouping.of(height, width, rows, cols, interval, CPU)
    torch.testing.assert_close(attention(x, grouping), padded_attention(attention, x, rows, cols, interval))


@settings(max_examples=60, deadline=None)
@given(height=sides, width=sides, rows=small, cols=small, interval=small)
def test_grouping_is_a_permutation_and_ungroup_its_inverse(height, width, rows, cols, interval):
    grouping = Grouping.of(height, width, rows, cols, interval, CPU)
    x = torch.arange(height * width).view(1, height, width, 1)
    groups = grouping.group(x)
    assert sorted(torch.cat([g.flatten() for g in groups]).tolist()) == list(range(height * width))
    assert [g.shape[1] for g in groups] == [rows * cols for rows, cols in grouping.sizes]
    assert torch.equal(grouping.ungroup(groups, x.shape), x)
    assert len(groups) <= 9


def drawn(grouping, width):
    """One letter per token for its group, row by row, as in the module's docstring."""
    groups = [group for x in grouping.group(torch.arange(len(grouping.inverse)).view(1, -1, width, 1)) for group in x]
    groups.sort(key=lambda group: group.min().item())
    letters = {position.item(): chr(ord('a') + i) for i, group in enumerate(groups) for position in group}
    text = ''.join(letters[i] for i in range(len(letters)))
    return [text[i:i + width] for i in range(0, len(text), width)]


def test_the_pictures_of_the_docstring():
    short, whole, squares = (drawn(Grouping.of(6, 6, *kind, CPU), 6) for kind in ((3, 3, 1), (2, 2, 3), (3, 3, 2)))
    pictures = zip(*(line.split('    ')[1:] for line in grouping_module.__doc__.splitlines() if line.startswith('    a')
                     or line.startswith('    c') or line.startswith('    d') or line.startswith('    g')))
    assert [[row.replace(' ', '') for row in picture] for picture in pictures] == [short, whole, squares]
