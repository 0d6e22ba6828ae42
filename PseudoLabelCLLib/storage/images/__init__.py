"""Volumes and segmentations of NIfTI, NRRD and MetaImage, with their exact grid."""
