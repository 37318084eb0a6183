"""TopFormer-T with semantic injection and the light head."""
_base_ = './segmentor.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(type='mmvisattn.TopFormer', arch='tiny', norm_cfg=norm_cfg),
    neck=dict(type='mmvisattn.SemanticInjection', in_channels=[16, 32, 64, 96], out_channels=128, norm_cfg=norm_cfg),
    decode_head=dict(
        type='mmvisattn.SimpleHead',
        in_channels=[128, 128, 128],
        in_index=[0, 1, 2],
        channels=128,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
