"""Restormer's official names."""
from mmvisattn.weights.key_map import KeyMap

_ENCODER = (
    (r'backbone\.patch_embed\.proj\.', 'backbone.encoder.embedding.'),
    *((rf'backbone\.encoder_level{i + 1}\.', f'backbone.encoder.levels.{i}.') for i in range(3)),
    (r'backbone\.latent\.', 'backbone.encoder.levels.3.'),
    *((rf'backbone\.down{i + 1}_{i + 2}\.body\.0\.', f'backbone.encoder.downsamplings.{i}.conv.') for i in range(3)),
)
# Decoder levels are counted from the deepest here.
_DECODER = (
    *((rf'backbone\.decoder_level{3 - i}\.', f'backbone.decoder.{i}.blocks.') for i in range(3)),
    *((rf'backbone\.up{4 - i}_{3 - i}\.body\.0\.', f'backbone.decoder.{i}.upsampling.conv.') for i in range(3)),
    *((rf'backbone\.reduce_chan_level{3 - i}\.', f'backbone.decoder.{i}.reduction.') for i in range(2)),
    (r'backbone\.skip_conv\.', 'backbone.skip.'),
)
_BLOCKS = (
    (r'(backbone\..+\.norm[12])\.body\.', r'\1.'),
    (r'(backbone\..+\.(?:attn|ffn))\.project_out\.', r'\1.proj.'),
)

OFFICIAL_NAMES = KeyMap(rules=(*_ENCODER, *_DECODER, *_BLOCKS))

# For the encoder alone, from the weights of a whole Restormer.
ENCODER_NAMES = KeyMap(
    rules=(*_ENCODER, (r'backbone\.encoder\.', 'backbone.'), *_BLOCKS),
    dropped=(r'decoder_level\d\.', r'up\d_\d\.', r'reduce_chan_level\d\.', r'refinement\.', r'output\.', r'skip_conv\.'))
