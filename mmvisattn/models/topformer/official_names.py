"""TopFormer's official names. The injection is a part of the authors' backbone; here it is a neck."""
from mmvisattn.weights.key_map import KeyMap

from .token_pyramid import pyramid


def _token_pyramid_rules() -> list[tuple[str, str]]:
    """The authors number the inverted residuals across all levels, and count activations as layers (0, 2, 4)."""
    rules = [(r'backbone\.tpm\.stem\.0\.c\.', 'backbone.stem.conv.'), (r'backbone\.tpm\.stem\.0\.', 'backbone.stem.')]
    number = 0
    for level, rows in enumerate(pyramid(16, (32, 64, 128, 160), 3)):
        for row in range(len(rows)):
            number += 1
            rules.append((rf'backbone\.tpm\.layer{number}\.conv\.', f'backbone.levels.{level}.{row}.layers.'))
    for ours, theirs in enumerate((0, 2, 4)):
        rules.append((rf'(backbone\.levels\.\d\.\d\.layers)\.{theirs}\.', rf'\1.{ours}.'))
    return rules


OFFICIAL_NAMES = KeyMap(
    rules=(
        *_token_pyramid_rules(),
        (r'backbone\.trans\.transformer_blocks\.', 'backbone.extractor.blocks.'),
        (r'(backbone\.extractor\.blocks\.\d+\.attn\.proj)\.1\.', r'\1.'),
        (r'(backbone\..+)\.c\.weight$', r'\1.conv.weight'),
        # Level 0 is not injected, so the authors' numbers start at 1.
        (r'backbone\.SIM\.1\.', 'neck.injections.0.'),
        (r'backbone\.SIM\.2\.', 'neck.injections.1.'),
        (r'backbone\.SIM\.3\.', 'neck.injections.2.'),
        (r'(neck\.injections\.\d)\.global_act\.', r'\1.global_gate.'),
        # Fusions with two embeddings name them fuse1 and fuse2; fuse2 is the global embedding or the gate.
        (r'(neck\.injections\.\d)\.fuse1\.', r'\1.local_embedding.'),
        (r'(neck\.injections\.\d)\.fuse2\.', r'\1.global_embedding.'),
        (r'decode_head\.linear_fuse\.', 'decode_head.fuse.'),
        # The classifier's norm and layer, as in LeViT, whose naming the authors' convolutions share: a guess.
        (r'head\.bn\.', 'head.head.bn.'),
        (r'head\.l\.', 'head.head.linear.'),
    ),
    alternatives=((r'(neck\.injections\.\d)\.global_embedding\.', r'\1.global_gate.'),),
    dropped=(r'head\.', r'norm\.'),
)
