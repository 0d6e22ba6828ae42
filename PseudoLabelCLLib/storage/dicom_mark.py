"""What is known of DICOM files without the libraries of DICOM, which are slow to load."""

from pathlib import Path

from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.storage.regular_files import opened_regular

# Enhanced and legacy-converted CT, MR and PET: where a frame lies stands in attributes of its own.
ENHANCED_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2", "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.3", "1.2.840.10008.5.1.4.1.1.4.4", "1.2.840.10008.5.1.4.1.1.130",
    "1.2.840.10008.5.1.4.1.1.128.1",
)  # fmt: skip
CT_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2",
)  # fmt: skip
# Several frames that are no stack of slices, though a reader of images takes them for one.
NO_VOLUME_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.3.1": "a film of ultrasound",
    "1.2.840.10008.5.1.4.1.1.12.1": "a film of X-ray projections",
    "1.2.840.10008.5.1.4.1.1.12.2": "a film of X-ray projections",
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation",
}
_MAGIC = b"DICM"
_MAGIC_AT = 128


def looks_like_dicom(file: Path) -> bool:
    """Tell by the mark in its first bytes whether a file is DICOM; an unreadable one is not."""
    try:
        with opened_regular(file) as stream:
            stream.seek(_MAGIC_AT)
            return stream.read(len(_MAGIC)) == _MAGIC
    except (OSError, StorageError, ValueError):  # no file has a zero byte in its name
        return False
