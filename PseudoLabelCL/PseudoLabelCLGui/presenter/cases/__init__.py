"""The cases step."""
