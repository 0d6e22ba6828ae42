"""Checks of the cases before training: what cannot work, and what a person has to answer."""
