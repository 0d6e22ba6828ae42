"""Segmentations and models out of a project, verified after writing."""
