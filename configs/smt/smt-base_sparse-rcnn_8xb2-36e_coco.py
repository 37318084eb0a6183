# Stochastic depth as for S, as released.
_base_ = './smt-small_sparse-rcnn_8xb2-36e_coco.py'
model = dict(backbone=dict(arch='base'))
