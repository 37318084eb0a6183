"""CrossFormer's and CrossFormer++'s official names. In the released code an
embedding is the end of the previous stage; here it is the start of its own."""
from mmvisattn.weights.key_map import KeyMap

# The position bias is one MLP here. The authors name its first layer and three groups of (norm, activation, layer).
_MLP = {'pos_proj': 0, 'pos1.0': 1, 'pos1.2': 3, 'pos2.0': 4, 'pos2.2': 6, 'pos3.0': 7, 'pos3.2': 9}

OFFICIAL_NAMES = KeyMap(
    rules=(
        (r'head\.(weight|bias)$', r'head.fc.\1'),
        (r'backbone\.norm\.', 'backbone.out_norms.0.'),  # of the classifier, after the last stage
        (r'backbone\.patch_embed\.norm\.', 'backbone.stages.0.norm.'),
        (r'backbone\.patch_embed\.', 'backbone.stages.0.embedding.'),
        *((rf'backbone\.layers\.{i}\.downsample\.norm\.', f'backbone.stages.{i + 1}.norm.') for i in range(3)),
        *((rf'backbone\.layers\.{i}\.downsample\.reductions\.', f'backbone.stages.{i + 1}.embedding.projs.')
          for i in range(3)),
        (r'backbone\.layers\.', 'backbone.stages.'),
        (r'(backbone\..+)\.ex_conv\.', r'\1.cooling.conv.'),
        (r'(backbone\..+)\.ex_ln\.', r'\1.cooling.norm.'),
        *((rf'(backbone\..+)\.attn\.pos\.{theirs}\.', rf'\1.attn.position_bias.mlp.{ours}.')
          for theirs, ours in _MLP.items()),
    ),
    dropped=(r'head\.', r'norm\.', r'out_norms\.',
             r'.*\.attn\.biases$', r'.*\.attn\.relative_position_index$', r'.*\.attn_mask$'),
)
