"""The Python packages that the worker needs, and their installation."""
