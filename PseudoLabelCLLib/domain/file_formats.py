"""The file formats of images and segmentations: the one table of their suffixes."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


@dataclass(frozen=True)
class ImageFormat:
    """A format of volumes.

    Args:
        suffix: Of its files, in lower case.
        reader: The reader of ITK that must know a file by its content.
        is_one_file: Whether a volume is one file, which can be written aside and renamed.
    """

    suffix: str
    reader: str
    is_one_file: bool = True


IMAGE_FORMATS = (
    ImageFormat(".nii", "NiftiImageIO"),
    ImageFormat(".nii.gz", "NiftiImageIO"),
    ImageFormat(".nrrd", "NrrdImageIO"),
    ImageFormat(".nhdr", "NrrdImageIO", is_one_file=False),
    ImageFormat(".mha", "MetaImageIO"),
    ImageFormat(".mhd", "MetaImageIO", is_one_file=False),
)
READABLE_SUFFIXES = tuple(one.suffix for one in IMAGE_FORMATS)
WRITABLE_SUFFIXES = tuple(one.suffix for one in IMAGE_FORMATS if one.is_one_file)
NIFTI_SUFFIXES = (".nii", ".nii.gz")
# Segmentations with names, colours and codes, as 3D Slicer writes them.
SLICER_SEGMENTATION_SUFFIXES = (".seg.nrrd", ".seg.nhdr")


class SegmentationFormat(Enum):
    """A format in which segmentations leave; the value is the file name's ending."""

    SEG_NRRD = "seg.nrrd"
    NIFTI = "nii.gz"

    @property
    def suffix(self) -> str:
        """The suffix of its files."""
        return f".{self.value}"


def image_suffix(path: Path) -> str:
    """Return the suffix of a volume's file in lower case, with ".nii.gz" as one."""
    return _longest_of(path, READABLE_SUFFIXES) or Path(path.name.lower()).suffix


def whole_suffix(name: str) -> str:
    """Return the suffix of a volume or segmentation as it is written; empty for other files."""
    suffix = _longest_of(Path(name), (*SLICER_SEGMENTATION_SUFFIXES, *READABLE_SUFFIXES))
    return name[len(name) - len(suffix) :]


def is_slicer_segmentation(path: Path) -> bool:
    """Tell by its name whether a file can be nothing but a segmentation of Slicer."""
    return path.name.lower().endswith(SLICER_SEGMENTATION_SUFFIXES)


def _longest_of(path: Path, suffixes: tuple[str, ...]) -> str:
    found = [suffix for suffix in suffixes if path.name.lower().endswith(suffix)]
    return max(found, key=len, default="")
