"""Models applied to volumes, and how good they are."""
