"""CrossFormer (ICLR 2022, https://arxiv.org/abs/2108.00154) and CrossFormer++ (TPAMI 2023,
https://arxiv.org/abs/2303.06908).

Deliberate differences from the released code: any input size; the choices for small maps and the adaptive interval depend
on the input only and are not stored in the model; maps are not padded to whole groups; the dense CrossFormer++ keeps its
group sizes by default; the model builds without a checkpoint.

Long distance attention has the two forms that the authors released, see ``lda_scope`` of ``CrossFormer``.
"""
import math
import operator
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmvisattn.layers import apply_channels_last, checkpointed, drop_path_rates, in_chunks, stochastic_depth, to_contiguous
from mmvisattn.models.backbone import Backbone, InitCfg, arch_settings, check_images
from mmvisattn.registry import MODELS

from .cross_scale_embedding import CrossScaleEmbedding, is_any_size
from .dynamic_position_bias import DynamicPositionBias, bias_between_tokens
from .grouping import Grouping, PaddedGrouping
from .official_names import OFFICIAL_NAMES

ADAPTIVE = 'adaptive'
LDA_SCOPES = ('map', 'square')

# The largest attention matrix or bias to compute at once: 256 MiB of float32. Larger ones are computed in chunks of queries.
MAX_ATTENTION_ELEMENTS = 2**26

# A number for all blocks, one per stage, or one per block of a stage.
PerBlock = int | Sequence[int | Sequence[int]]


def progressive_group_sizes(policy: str, depths: Sequence[int], **sizes: Any) -> list[list[int]]:
    """The group size of every block by a named policy, after CrossFormer++'s progressive group size (PGS).

    Args:
        policy: 'constant', with ``size``; 'linear', from ``start`` in the first block of the network to ``end`` in the last,
            rounded; 'alternating', with ``sizes``, cycled through by each stage's pairs of blocks (short, long distance).
        depths: blocks of each stage.
        sizes: the arguments of the policy.

    Returns:
        One list per stage, one number per block.

    Raises:
        ValueError: if the policy is unknown or its arguments are not as above.
    """
    needed = dict(constant={'size'}, linear={'start', 'end'}, alternating={'sizes'})
    if policy not in needed or set(sizes) != needed[policy]:
        raise ValueError(f'group_size: policy={policy!r} with {sorted(sizes)}; valid policies are '
                         + ', '.join(f'{name!r} with {sorted(args)}' for name, args in needed.items()))
    if policy == 'constant':
        return [[sizes['size']] * depth for depth in depths]
    if policy == 'alternating':
        return [[sizes['sizes'][block // 2 % len(sizes['sizes'])] for block in range(depth)] for depth in depths]
    rises = drop_path_rates(sizes['end'] - sizes['start'], depths)
    return [[round(sizes['start'] + rise) for rise in stage] for stage in rises]


def each_block(name: str, setting: PerBlock | str, depths: Sequence[int], words: Sequence[str] = ()) -> list[list[Any]]:
    """Spread a setting over blocks: one list per stage, one entry per block.

    Args:
        name: name of the setting.
        setting: one positive number or one of ``words`` for all blocks, one per stage, or one per block of a stage.
        depths: blocks of each stage.
        words: words that are allowed in place of a number.

    Raises:
        ValueError: if the setting does not fit the depths; the message names it.
    """
    stages = [setting] * len(depths) if isinstance(setting, (int, str)) else setting
    spread = [[entry] * depth if isinstance(entry, (int, str)) else list(entry) for entry, depth in zip(stages, depths)]
    fits = len(stages) == len(depths) and all(len(stage) == depth for stage, depth in zip(spread, depths))
    if not fits or not all(v in words or (isinstance(v, int) and v > 0) for stage in spread for v in stage):
        raise ValueError(f'{name}={setting} must be a positive number, one per stage, or one per block, for depths={depths}')
    return spread


class GroupAttention(BaseModule):
    """Long short distance attention (LSDA): multi-head attention in groups of short (SDA) or long distance (LDA).

    The logits get a dynamic position bias (DPB). (B, H, W, C) to the same.
    """

    def __init__(self, dims: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dims, 3 * dims)
        self.position_bias = DynamicPositionBias(dims, num_heads)
        self.proj = nn.Linear(dims, dims)

    def heads(self, tokens: Tensor) -> list[Tensor]:
        """(groups, tokens, C) to queries, keys and values, each (groups, heads, tokens, C / heads).

        They are parted before they are transposed: else OpenVINO 2026.4 computes groups wrongly that have as many tokens as
        there are heads (docs/upstream/openvino.md).
        """
        return [rearrange(part, 'g t (n d) -> g n t d', n=self.num_heads) for part in self.qkv(tokens).chunk(3, dim=-1)]

    def attend(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Attention within each group: (groups, tokens, C) and a bias (heads, tokens, tokens) to (groups, tokens, C)."""
        q, k, v = self.heads(tokens)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return rearrange(x, 'g n t d -> g t (n d)')

    def attend_in_chunks(self, tokens: Tensor, table: Tensor, chunk_rows: int) -> Tensor:
        """Like ``attend``, with the queries of ``chunk_rows`` rows of each group at a time, and with the bias by offset."""
        q, k, v = self.heads(tokens)
        rows, cols = ((side + 1) // 2 for side in table.shape[1:])

        def attended(q: Tensor, k: Tensor, v: Tensor, table: Tensor, start: int, stop: int) -> Tensor:
            bias = bias_between_tokens(table, start, stop).to(q.dtype)[None]
            return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)

        chunks = []
        for start in range(0, rows, chunk_rows):
            stop = min(start + chunk_rows, rows)
            arguments = (q[:, :, start * cols:stop * cols], k, v, table, start, stop)
            # The backward pass recomputes each chunk, so that the attention of all chunks is never kept.
            chunks.append(checkpoint(attended, *arguments, use_reentrant=False)
                          if torch.is_grad_enabled() else attended(*arguments))
        return rearrange(torch.cat(chunks, dim=2), 'g n t d -> g t (n d)')

    def attend_padded(self, tokens: Tensor, grouping: PaddedGrouping) -> Tensor:
        """Like ``attend``, with groups of one size, some of which are padded."""
        table, = self.position_bias([(grouping.rows, grouping.cols)])
        bias = bias_between_tokens(table, 0, grouping.rows) + grouping.mask(tokens)
        return self.attend(tokens, bias.repeat(tokens.shape[0] // bias.shape[0], 1, 1, 1))

    def forward(self, x: Tensor, grouping: Grouping | PaddedGrouping) -> Tensor:
        if isinstance(grouping, PaddedGrouping):
            return self.proj(grouping.ungroup(self.attend_padded(grouping.group(x), grouping)))
        attended = []
        for tokens, table, (rows, cols) in zip(
                grouping.group(x), self.position_bias(grouping.sizes), grouping.sizes):
            # With gradients, the bias is expanded over all groups, and the attention of every group is kept.
            row_elements = self.num_heads * cols * rows * cols * (len(tokens) if torch.is_grad_enabled() else 1)
            chunk_rows = max(1, MAX_ATTENTION_ELEMENTS // max(1, row_elements))  # an empty batch has no elements
            if chunk_rows < rows:
                attended.append(self.attend_in_chunks(tokens, table, chunk_rows))
            else:
                attend = partial(self.attend, bias=bias_between_tokens(table, 0, rows)[None])
                elements = 3 * tokens.shape[1] * tokens.shape[2]  # per group
                attended.append(in_chunks(attend, tokens, within=self, dim=0, elements_each=elements))
        return self.proj(grouping.ungroup(attended, x.shape))


class FeedForward(BaseModule):
    """Linear, GELU, Linear; (B, H, W, C) to the same."""

    def __init__(self, dims: int, hidden_dims: int):
        super().__init__()
        self.fc1 = nn.Linear(dims, hidden_dims)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(0, 2)
        hidden = self.fc1.out_features
        return in_chunks(
            lambda t: self.fc2(self.act(self.fc1(t))), tokens, within=self, dim=0, elements_each=hidden).view_as(x)


class ActivationCooling(BaseModule):
    """Activation cooling layer (ACL) of CrossFormer++, LayerNorm(depthwise conv 3 x 3); (B, H, W, C) to the same."""

    def __init__(self, dims: int):
        super().__init__()
        self.conv = nn.Conv2d(dims, dims, 3, padding=1, groups=dims)
        self.norm = nn.LayerNorm(dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class CrossFormerBlock(BaseModule):
    """x + Attention(LayerNorm(x)), then x + MLP(LayerNorm(x)), then an activation cooling layer if there is one.

    Args:
        dims: channels.
        num_heads: heads of the attention.
        group_size: tokens along a group's side.
        interval: None: short distance attention (SDA). A number: long distance attention (LDA) between tokens that many
            rows and columns apart. 'adaptive': ceil(max(H, W) / group_size), the smallest interval with which a group with
            ``group_size`` tokens per side covers the map.
        lda_scope: see ``CrossFormer``.
        mlp_ratio: hidden width of the MLP as a multiple of ``dims``.
        drop_path: stochastic depth.
        with_cooling: end with an activation cooling layer.

    Shape: (B, H, W, dims) to the same.
    """

    def __init__(self, dims: int, num_heads: int, group_size: int, interval: int | str | None = None,
                 lda_scope: str = 'map', mlp_ratio: float = 4.0, drop_path: float = 0.0, with_cooling: bool = False):
        super().__init__()
        self.group_size = group_size
        self.interval = interval
        self.lda_scope = lda_scope
        self.norm1 = nn.LayerNorm(dims)
        self.attn = GroupAttention(dims, num_heads)
        self.norm2 = nn.LayerNorm(dims)
        self.mlp = FeedForward(dims, int(dims * mlp_ratio))
        self.cooling = ActivationCooling(dims) if with_cooling else None
        self.drop_path = stochastic_depth(drop_path)

    def kind(self, height: int, width: int) -> tuple[int, int, int]:
        """(rows, cols, interval) of the groups on a map of ``height`` x ``width`` tokens; a group may have fewer tokens.

        On a map whose shorter side is at most ``group_size``, every block uses SDA: with one group for the whole map if
        ``lda_scope`` is 'square', else with groups as wide as the shorter side. The authors changed this rule together with
        the scope. Recordings of their code cover both rules, the second one only for a shorter side of exactly
        ``group_size``; for smaller maps, the second rule is a guess.
        """
        shorter = min(height, width)
        if shorter <= self.group_size:
            return (height, width, 1) if self.lda_scope == 'square' else (shorter, shorter, 1)
        if self.interval is None:
            return self.group_size, self.group_size, 1
        interval = math.ceil(max(height, width) / self.group_size) if isinstance(self.interval, str) else self.interval
        if self.lda_scope == 'square':
            return self.group_size, self.group_size, interval
        return math.ceil(height / interval), math.ceil(width / interval), interval

    def padded_grouping(self, height: int, width: int) -> PaddedGrouping:
        """The groups on a map whose shorter side is larger than ``group_size``, without a look at its sides."""
        size, interval = self.group_size, self.interval or 1
        if isinstance(interval, str):
            interval = (torch.sym_max(height, width) + size - 1) // size
        if self.interval is None or self.lda_scope == 'square':
            down, across = ((side + size * interval - 1) // (size * interval) for side in (height, width))
            return PaddedGrouping(height, width, down, across, size, size, interval)
        rows, cols = ((side + interval - 1) // interval for side in (height, width))
        return PaddedGrouping(height, width, 1, 1, rows, cols, interval)

    def forward(self, x: Tensor, grouping: Grouping | PaddedGrouping) -> Tensor:
        """``grouping``: made with the result of ``kind`` for this map."""
        x = x + self.drop_path(self.attn(self.norm1(x), grouping))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x if self.cooling is None else self.cooling(x)


class MapNorm(nn.LayerNorm):
    """LayerNorm over the channels of a map (B, C, H, W), which stays one, as tools that look at outputs expect."""

    def forward(self, x: Tensor) -> Tensor:
        return apply_channels_last(super().forward, x)


class Stage(BaseModule):
    """A cross-scale embedding (CEL) and blocks. The norm follows the embedding in the first stage and precedes it in others.

    Shape: (B, H, W, C) to (B, H', W', C').
    """

    def __init__(self, embedding: CrossScaleEmbedding, norm_dims: int, norm_first: bool, blocks: Sequence[nn.Module],
                 with_cp: bool):
        super().__init__()
        self.embedding = embedding
        self.norm = nn.LayerNorm(norm_dims)
        self.norm_first = norm_first
        self.blocks = ModuleList(blocks)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(self.norm(x)) if self.norm_first else self.norm(self.embedding(x))
        if is_any_size(x):
            for block in self.blocks:
                x = block(x, block.padded_grouping(*x.shape[1:3]))
            return x
        height, width = (operator.index(side) for side in x.shape[1:3])  # one graph per size, see Grouping.of
        kinds: list[tuple[int, int, int]] = [block.kind(height, width) for block in self.blocks]
        groupings = {kind: Grouping.of(height, width, *kind, device=x.device) for kind in set(kinds)}
        for block, kind in zip(self.blocks, kinds):
            x = checkpointed(block, x, groupings[kind], enabled=self.with_cp)
        return x


@MODELS.register_module()
class CrossFormer(Backbone):
    """CrossFormer and CrossFormer++.

    Args:
        arch: 'tiny', 'small', 'base', 'large', 'pp-small', 'pp-base', 'pp-large', 'pp-huge' (++), or a dict with the keys
            ``embed_dims`` (channels of the first stage), ``depths``, ``num_heads``, ``group_size``, ``interval``,
            ``with_cooling`` and optionally ``lda_scope`` ('map' if left out).
        in_channels: channels of the image.
        group_size: tokens along a group's side: a number, one per stage, or one per block of a stage; or a policy,
            ``dict(policy='constant', size=7)``, ``dict(policy='linear', start=4, end=14)``,
            ``dict(policy='alternating', sizes=(7, 14))``, see ``progressive_group_sizes``. None: the architecture's.
        interval: interval of long distance attention: a number, one per stage, or one per block of a stage (only the numbers
            of long distance blocks are used). 'adaptive' in place of a number: the smallest interval with which a group with
            ``group_size`` tokens per side covers the map. None: the architecture's.
        lda_scope: where long distance attention (LDA) with interval I finds the tokens of a group.
            'map': on the whole map, as in the CrossFormer paper and in every published dense model, ++ included. There are
            I x I groups of ceil(H / I) x ceil(W / I) tokens; with interval 1, every token attends to all tokens. The cost of
            a layer's attention grows with (H W)**2 / I**2.
            'square': within squares of ``group_size * I`` tokens per side, as in the authors' code since December 2023 and
            in their ++ classifiers. A group has ``group_size`` x ``group_size`` tokens. The cost grows with H W.
            Both forms agree where one square covers the map, as in CrossFormer at 224 x 224.
            None: the architecture's, 'map' for CrossFormer and 'square' for ++.
        with_cooling: an activation cooling layer after every third block, except after a stage's last block. None: the
            architecture's.
        mlp_ratio: hidden width of the MLPs as a multiple of the channels.
        drop_path_rate: stochastic depth of the last block, rising linearly from 0.
        out_indices: the stages whose maps to return.
        out_norm: a LayerNorm on every returned map; of the published models, only the classifiers have one, on the last map.
        frozen_stages: -1: none, 0: the first embedding, 1 to 4: the stages too.
        with_cp: recompute each block's activations in the backward pass.
        init_cfg: as in mmengine; ``type='mmvisattn.OfficialPretrained'`` loads the authors' published weights.

    Shape:
        (B, in_channels, H, W), any size from 1 x 1, to a tuple of (B, embed_dims * 2**i, ceil(H / s), ceil(W / s)) at
        strides s = 4, 8, 16, 32.

    Raises:
        ValueError: if an argument is not one of the above.
    """

    official_names = OFFICIAL_NAMES
    default_init_cfg = [
        dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
        dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0)]
    _common = dict(group_size=7, interval=(8, 4, 2, 1), with_cooling=False, lda_scope='map')
    _plus_plus = dict(group_size=(4, 4, 14, 7), interval=(4, 2, 1, 1), with_cooling=True, lda_scope='square')
    archs: dict[str, dict[str, Any]] = {
        'tiny': dict(embed_dims=64, depths=(1, 1, 8, 6), num_heads=(2, 4, 8, 16), **_common),
        'small': dict(embed_dims=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24), **_common),
        'base': dict(embed_dims=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24), **_common),
        'large': dict(embed_dims=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32), **_common),
        'pp-small': dict(embed_dims=64, depths=(2, 2, 18, 2), num_heads=(2, 4, 8, 16), **_plus_plus),
        'pp-base': dict(embed_dims=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24), **_plus_plus),
        'pp-large': dict(embed_dims=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32), **_plus_plus),
        'pp-huge': dict(embed_dims=128, depths=(6, 6, 18, 2), num_heads=(4, 8, 16, 32), **_plus_plus),
    }

    def __init__(self,
                 arch: str | Mapping = 'small',
                 in_channels: int = 3,
                 group_size: PerBlock | Mapping | None = None,
                 interval: PerBlock | str | None = None,
                 lda_scope: str | None = None,
                 with_cooling: bool | None = None,
                 mlp_ratio: float = 4.0,
                 drop_path_rate: float = 0.1,
                 out_indices: Sequence[int] = (0, 1, 2, 3),
                 out_norm: bool = False,
                 frozen_stages: int = -1,
                 with_cp: bool = False,
                 init_cfg: InitCfg = None):
        settings = arch_settings(arch, self.archs, lda_scope='map')
        settings.update({name: value for name, value in (
            ('group_size', group_size), ('interval', interval), ('lda_scope', lda_scope),
            ('with_cooling', with_cooling)) if value is not None})
        depths = settings['depths']
        super().__init__([settings['embed_dims'] * 2**i for i in range(len(depths))], out_indices, frozen_stages, init_cfg)
        if settings['lda_scope'] not in LDA_SCOPES:
            raise ValueError(f"lda_scope='{settings['lda_scope']}' is not one of {LDA_SCOPES}")
        size = settings['group_size']
        group_sizes = each_block(
            'group_size', progressive_group_sizes(depths=depths, **size) if isinstance(size, Mapping) else size, depths)
        intervals = each_block('interval', settings['interval'], depths, words=(ADAPTIVE,))
        rates = drop_path_rates(drop_path_rate, depths)
        self.stages = ModuleList()
        for i, dims in enumerate(self.out_channels[:self.num_built]):
            blocks = [
                CrossFormerBlock(
                    dims,
                    settings['num_heads'][i],
                    group_sizes[i][j],
                    interval=intervals[i][j] if j % 2 else None,
                    lda_scope=settings['lda_scope'],
                    mlp_ratio=mlp_ratio,
                    drop_path=rates[i][j],
                    with_cooling=settings['with_cooling'] and (j + 1) % 3 == 0 and j < depths[i] - 1)
                for j in range(depths[i])]
            if i == 0:
                embedding = CrossScaleEmbedding(
                    in_channels, (dims // 2, dims // 4, dims // 8, dims // 8), (4, 8, 16, 32), stride=4)
            else:
                embedding = CrossScaleEmbedding(dims // 2, (dims // 2, dims // 2), (2, 4), stride=2)
            self.stages.append(Stage(embedding, dims // 2 if i else dims, i > 0, blocks, with_cp))
        self.out_norms = ModuleList(MapNorm(self.out_channels[i]) if out_norm else nn.Identity()
                                    for i in self.out_indices)
        self.freeze()

    def stage_modules(self) -> list[list[nn.Module]]:
        return [[self.stages[0].embedding, self.stages[0].norm], *([stage] for stage in self.stages)]

    def output_norms(self) -> dict[int, nn.Module]:
        return dict(zip(self.out_indices, self.out_norms))

    def unbuilt_names(self) -> tuple[str, ...]:
        return tuple(f'stages.{i}.' for i in range(self.num_built, len(self.out_channels)))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        check_images(x)
        for side in () if is_any_size(x) else x.shape[-2:]:
            operator.index(side)  # fixes the size for torch.compile at once: one graph per size, see Grouping.of
        x = x.permute(0, 2, 3, 1)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return to_contiguous(norm(outputs[i].permute(0, 3, 1, 2)) for i, norm in zip(self.out_indices, self.out_norms))
