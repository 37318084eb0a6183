"""What a model does on its data, beyond one score: ``tools/confusion.py`` and ``tools/receptive_field.py``."""
