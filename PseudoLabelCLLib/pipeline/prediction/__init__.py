"""Models applied to volumes: segmentations, doubt, quality."""
