"""The self-test: the whole loop, run inside the application."""
