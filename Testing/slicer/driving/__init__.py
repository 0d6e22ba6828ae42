"""Drives a real Slicer with a real mouse, from outside, and asks it what it shows."""
