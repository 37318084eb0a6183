"""Pictures of what models attend to and modulate."""
