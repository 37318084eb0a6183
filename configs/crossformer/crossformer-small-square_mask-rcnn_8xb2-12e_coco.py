# Long distance attention in squares, whose cost grows with the pixels and not with their square: for large images.
_base_ = './crossformer-small_mask-rcnn_8xb2-12e_coco.py'
model = dict(backbone=dict(lda_scope='square'))
