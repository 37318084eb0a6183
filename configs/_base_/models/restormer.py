"""Restormer as in the paper, for colour images; the norm of its denoising models is 'bias_free'."""
model = dict(type='mmvisattn.ImageRestorer', backbone=dict(type='mmvisattn.Restormer'))
