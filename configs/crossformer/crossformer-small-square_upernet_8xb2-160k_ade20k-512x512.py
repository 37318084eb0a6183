# Long distance attention in squares, for large images: its cost grows with the number of pixels, not with its square.
_base_ = './crossformer-small_upernet_8xb2-160k_ade20k-512x512.py'
model = dict(backbone=dict(lda_scope='square'))
