"""What a model does on its data, beyond one score: ``tools/{robustness,confusion,receptive_field}.py``."""
