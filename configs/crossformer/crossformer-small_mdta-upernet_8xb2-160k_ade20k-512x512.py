# Experimental: no paper publishes this.
_base_ = './crossformer-small_upernet_8xb2-160k_ade20k-512x512.py'
model = dict(neck=dict(type='mmvisattn.MDTANeck', in_channels=[96, 192, 384, 768], num_heads=[3, 6, 12, 24]))
