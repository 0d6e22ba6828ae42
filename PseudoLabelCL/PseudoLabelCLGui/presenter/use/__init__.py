"""The step of results, with export and model: their actions, and what they show."""
