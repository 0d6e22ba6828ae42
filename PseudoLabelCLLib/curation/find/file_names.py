"""What the name of a file or folder tells: image or label map, whose, and which channel.

The rules cover how public collections name their files: ACDC (`x_gt`), KiTS (`imaging` and
`segmentation`), LiTS (`volume-0`, `segmentation-0`), BIDS (`sub-01_dseg`), nnU-Net
(`imagesTr/x_0000`, `labelsTr/x`), BraTS (`x_t1`, `x_seg`), MONAI Label (`labels/final/x`).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from PseudoLabelCLLib.domain.channel_names import NUMBERED
from PseudoLabelCLLib.domain.file_formats import is_slicer_segmentation, whole_suffix

_WORDS = (
    "dseg|probseg|segmentations?|segs?|labelmaps?|labels?|lbl|masks?|gts?|ground[ _-]?truth|"
    "annotations?|annot|delineations?|contours?"
)
# "p1_seg.nii.gz", "p1-label.nrrd", "p1.mask.mha", "kidney_annotation-1.nii.gz", "segmentation.mha"
_ENDS = re.compile(rf"(.+)[ ._-](?:{_WORDS})(?:[ ._-]?\d{{1,2}})?|(?:{_WORDS})", re.IGNORECASE)
# "ManualSegmentation_1.nii.gz"
_ENDS_IN_CAPITALS = re.compile(
    r"(.*[a-z0-9])(?:Segmentation|Label|Labelmap|Mask|GroundTruth|GT)(?:[ ._-]?\d{1,2})?"
)
# "segmentation-12.nii", "mask_p1.nii.gz"
_BEGINS = re.compile(rf"(?:{_WORDS})[ ._-]?(\d.*)|(?:{_WORDS})[ ._-](.+)", re.IGNORECASE)
_FOLDER = re.compile(
    rf"(?:(?:{_WORDS})(?:tr|ts)?|(?:gt|manual)[ _-](?:segmentations?|labels?|masks?))",
    re.IGNORECASE,
)
# words that say nothing of whose it is
_EMPTY_WORDS = frozenset((
    "image", "images", "img", "imaging", "volume", "vol", "scan", "im",
    "manual", "expert", "rater", "reader", "observer",
))  # fmt: skip
_MODALITIES = frozenset((
    "t1", "t1w", "t1c", "t1ce", "t1gd", "t1n", "t2", "t2w", "t2f", "flair", "adc", "dwi", "swi",
    "pd", "pdw", "t2star", "t2starw", "hbv", "dce", "ct", "mr", "mri", "pt", "pet", "suv", "cbv",
    "inplanet2", "bold",
))  # fmt: skip
_TOKEN = re.compile(r"[^\W\d_]+|\d+")


class Sign(Enum):
    """How surely a name says that a file holds labels.

    SLICER can be nothing else, NAME and FOLDER say so, PREFIX only where there is a volume of that
    name: a patient may be called "GT 1".
    """

    SLICER = 0
    NAME = 1
    FOLDER = 2
    PREFIX = 3


def is_label_folder(folder: Path) -> bool:
    """Return whether a folder's name says that it holds segmentations."""
    return _FOLDER.fullmatch(folder.name) is not None


def stem_of(file: Path) -> str:
    """Return a file's name without what it says about the kind of file."""
    return file.name.removesuffix(whole_suffix(file.name))


def label_folder_of(file: Path, root: Path | None) -> Path | None:
    """Return the folder of labels that a file lies in, at the top or below it.

    Args:
        file: The file.
        root: Where the search began; folders above it say nothing. None looks at its own folder.
    """
    for folder in file.parents:
        if is_label_folder(folder):
            return folder
        if root is None or folder == root or root not in folder.parents:
            return None
    return None


def sign_of(file: Path, root: Path | None = None) -> Sign | None:
    """Return how surely a file holds labels, or None for an image."""
    stem = stem_of(file)
    if is_slicer_segmentation(file):
        return Sign.SLICER
    if _ENDS.fullmatch(stem) or _ENDS_IN_CAPITALS.fullmatch(stem):
        return Sign.NAME
    if label_folder_of(file, root) is not None:
        return Sign.FOLDER
    return Sign.PREFIX if _BEGINS.fullmatch(stem) else None


def labelled_stems(file: Path) -> Iterator[str]:
    """Yield what the image of a label map may be called, the likeliest first."""
    stem = stem_of(file)
    for pattern in (_ENDS, _ENDS_IN_CAPITALS, _BEGINS):
        found = pattern.fullmatch(stem)
        if found:
            rest = found[1] or (found[2] if pattern is _BEGINS else "") or ""
            yield rest.casefold()
    yield stem.casefold()


def key_of(stem: str) -> tuple[str, ...]:
    """Return what of a name says whose image or label map it is.

    "volume-0", "img 0" and the "0" of "segmentation-0" have the same; so have "sub-01_T1w" and the
    "sub-01" of "sub-01_dseg".
    """
    tokens = _TOKEN.findall(channel_of(stem)[0].casefold())
    return tuple(token for token in tokens if token not in _EMPTY_WORDS)


def channel_of(stem: str) -> tuple[str, str]:
    """Return a name without the modality at its end, and that modality; without one, "".

    >>> channel_of("patient07_FLAIR")
    ('patient07', 'FLAIR')
    """
    parts = re.split(r"(?<=[ ._-])|(?=[ ._-])", stem)
    if parts[-1].casefold() not in _MODALITIES:
        return stem, ""
    return stem[: len(stem) - len(parts[-1])].rstrip(" ._-"), parts[-1]


@dataclass(frozen=True)
class Channels:
    """Several images of one patient.

    Args:
        name: What their names have in common; may be empty.
        files: By channel.
    """

    name: str
    files: dict[str, Path]


def channels_in(volumes: Iterable[Path], labels: Iterable[Path] = ()) -> tuple[Channels, ...]:
    """Return which images are several channels of one patient.

    Args:
        volumes: The images.
        labels: The label maps; one that bears a name without the channel tells that it is one.
    """
    labelled = {stem for file in labels for stem in labelled_stems(file)}
    found: dict[tuple[Path, str], dict[str, Path]] = {}
    numbered: dict[tuple[Path, str], dict[str, Path]] = {}
    for file in volumes:
        stem = stem_of(file)
        name, modality = channel_of(stem)
        if modality:
            found.setdefault((file.parent, name), {}).setdefault(modality, file)
        elif number := NUMBERED.fullmatch(stem):
            numbered.setdefault((file.parent, number[1]), {})[number[2]] = file
    found |= {
        (folder, name): files
        for (folder, name), files in numbered.items()
        if _are_channels(folder, name, files, labelled)
    }
    return tuple(Channels(name, files) for (_, name), files in found.items() if len(files) > 1)


def _are_channels(folder: Path, name: str, files: dict[str, Path], labelled: set[str]) -> bool:
    """Tell numbers of channels from numbers of patients, which may have four digits as well."""
    from_zero = sorted(files) == [f"{n:04d}" for n in range(len(files))]
    is_known = folder.name.casefold().startswith("imagest") or name.casefold() in labelled
    return from_zero and (is_known or name[-1:].isdigit())
