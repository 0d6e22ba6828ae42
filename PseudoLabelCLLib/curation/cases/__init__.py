"""The cases of a project: added, changed, named, with their structures and settings."""
