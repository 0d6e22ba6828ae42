"""The train step and the rounds: their actions, and what they show."""
