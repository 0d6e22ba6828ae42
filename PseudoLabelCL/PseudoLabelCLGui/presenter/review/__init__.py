"""The review step: its actions, and what it shows."""
