"""Restormer as in the paper, for colour images; its denoising models use the norm 'bias_free'."""
model = dict(type='mmvisattn.ImageRestorer', backbone=dict(type='mmvisattn.Restormer'))
