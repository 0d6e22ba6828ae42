"""Volumes as the slices that the network sees, and the exact way back."""
