"""The step of results."""
