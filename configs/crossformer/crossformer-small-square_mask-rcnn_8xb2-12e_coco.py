# Long distance attention in squares, for large images: its cost grows with the number of pixels, not with its square.
_base_ = './crossformer-small_mask-rcnn_8xb2-12e_coco.py'
model = dict(backbone=dict(lda_scope='square'))
