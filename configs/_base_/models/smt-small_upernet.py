"""SMT-S with UPerNet."""
_base_ = './crossformer-small_upernet.py'
model = dict(
    backbone=dict(_delete_=True, type='mmvisattn.SMT', arch='small', drop_path_rate=0.2),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256))
