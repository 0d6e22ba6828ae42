"""DICOM in and out: series, segmentation objects, structure sets."""
