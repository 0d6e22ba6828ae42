"""The head of the panel: project, message, steps, this computer."""
