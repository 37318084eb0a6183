"""SMT's official names: of the authors' dense-prediction code, and of their ImageNet checkpoints."""
from mmvisattn.weights.key_map import KeyMap


def _stage_rules() -> list[tuple[str, str]]:
    """The authors number stages from 1 and store the parts of a stage separately."""
    rules = [(r'backbone\.patch_embed1\.conv\.0\.', 'backbone.stages.0.embedding.conv.conv.'),
             (r'backbone\.patch_embed1\.conv\.1\.', 'backbone.stages.0.embedding.conv.bn.'),
             (r'backbone\.patch_embed1\.conv\.3\.', 'backbone.stages.0.embedding.proj.')]
    for stage in range(4):
        rules += [(rf'backbone\.{theirs}{stage + 1}\.', f'backbone.stages.{stage}.{ours}.')
                  for theirs, ours in (('patch_embed', 'embedding'), ('block', 'blocks'), ('norm', 'norm'))]
    return rules


# Names within a block; \1 is the name of the block, and [i] the i-th part of a tensor.
_BLOCK = (
    (r'attn\.v\.(\w+)$', r'mixer.to_value_and_scales.\2[0]'),
    (r'attn\.s\.(\w+)$', r'mixer.to_value_and_scales.\2[1]'),
    *((rf'attn\.local_conv_{head + 1}\.', f'mixer.convs.convs.{head}.') for head in range(4)),
    (r'attn\.proj0\.', 'mixer.aggregation.widen.conv.'),
    (r'attn\.bn\.', 'mixer.aggregation.widen.bn.'),
    (r'attn\.proj1\.', 'mixer.aggregation.mix.'),
    (r'attn\.q\.(\w+)$', r'mixer.qkv.\2[0]'),
    (r'attn\.kv\.(\w+)$', r'mixer.qkv.\2[1]'),
    (r'attn\.local_conv\.', 'mixer.dw_conv.'),  # in ImageNet checkpoints
    (r'attn\.', 'mixer.'),
    (r'mlp\.dwconv\.dwconv\.', 'mlp.dwconv.'),
    (r'gamma_(\d)$', r'layer_scale\2.weight'),
)

OFFICIAL_NAMES = KeyMap(
    rules=((r'head\.(weight|bias)$', r'head.fc.\1'), *_stage_rules(),
           *((rf'(backbone\.stages\.\d+\.blocks\.\d+)\.{theirs}', rf'\1.{ours}') for theirs, ours in _BLOCK)),
    dropped=(r'head\.',),
)
