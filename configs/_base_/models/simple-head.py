"""TopFormer with semantic injection and its light head; configs name the architecture and its channels."""
_base_ = './segmentor.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(type='mmvisattn.TopFormer', norm_cfg=norm_cfg),
    neck=dict(type='mmvisattn.SemanticInjection', norm_cfg=norm_cfg),
    decode_head=dict(
        type='mmvisattn.SimpleHead',
        in_index=[0, 1, 2],
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
