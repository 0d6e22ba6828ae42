"""The cases step: its actions, and what it shows."""
