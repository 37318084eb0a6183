"""Visual attention backbones, necks and heads for the OpenMMLab stack."""
__version__ = '0.1.0'
