"""The step of results: export, save and use a model."""
