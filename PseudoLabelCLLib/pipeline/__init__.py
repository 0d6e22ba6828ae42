"""The steps between volumes in and segmentations out, one file each."""
