"""Volumes and segmentations found in folders, by names, headers and voxels."""
