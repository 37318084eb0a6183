# Long distance attention in squares, whose cost grows with the pixels and not with their square: for large images.
_base_ = './crossformer-small_upernet_8xb2-160k_ade20k-512x512.py'
model = dict(backbone=dict(lda_scope='square'))
