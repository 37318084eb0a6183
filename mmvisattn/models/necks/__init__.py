from .semantic_injection import SemanticInjection

__all__ = ['SemanticInjection']
