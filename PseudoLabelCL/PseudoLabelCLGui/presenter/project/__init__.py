"""The project as a whole, and the computer it is on: their actions, and what they show."""
