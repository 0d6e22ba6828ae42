"""Segmentations on the grid of their case, read from the project and brought onto it."""
