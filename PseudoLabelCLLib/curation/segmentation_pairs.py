"""Which of many files are segmentations, and of which volume, as their names and folders tell."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_SLICER_SUFFIX = ".seg.nrrd"
_SUFFIXES = (_SLICER_SUFFIX, ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
# "p1_seg.nii.gz", "p1-label.nrrd", "p1_gt.nii.gz", "p1.mask.mha"
_MARKED = re.compile(
    r"(.+)[ ._-](seg|segmentation|label|labels|labelmap|mask|gt|annotation)", re.IGNORECASE
)
# "labels/p1.nii.gz" beside "p1.nii.gz", or beside "images/p1.nii.gz"
_FOLDER = re.compile(r"(labels?|segmentations?|masks?|annotations?)(tr|ts)?", re.IGNORECASE)
# the first channel of a volume, where a segmentation has the name without it
_FIRST_CHANNEL = "_0000"


@dataclass(frozen=True)
class Pairs:
    """Files told apart.

    Args:
        volumes: Each volume with its segmentation, or None.
        unmatched: Segmentations without a volume.
        spare: Segmentations of a volume that has a better one.
    """

    volumes: tuple[tuple[Path, Path | None], ...]
    unmatched: tuple[Path, ...]
    spare: tuple[Path, ...]


def pair_segmentations(files: Iterable[Path]) -> Pairs:
    """Tell volumes from segmentations, and give each segmentation to its volume.

    Of several segmentations of a volume, one in Slicer's form is taken before one with a mark in
    its name, and that before one in a folder of labels.
    """
    files = list(files)
    ranked = [(rank, file) for file in files if (rank := _rank(file)) is not None]
    ranked.sort(key=lambda item: item[0])  # stable: else in the order of the files
    are_segmentations = {file for _, file in ranked}
    volumes = [file for file in files if file not in are_segmentations]
    by_place = _by_place(volumes)
    taken: dict[Path, Path] = {}
    unmatched, spare = [], []
    for _, file in ranked:
        volume = next((by_place[key] for key in _places_of(file) if key in by_place), None)
        if volume is None:
            unmatched.append(file)
        elif volume in taken:
            spare.append(file)
        else:
            taken[volume] = file
    return Pairs(tuple((v, taken.get(v)) for v in volumes), tuple(unmatched), tuple(spare))


def is_slicer_segmentation(file: Path) -> bool:
    """Tell whether a file can be nothing but a segmentation."""
    return file.name.lower().endswith(_SLICER_SUFFIX)


def is_label_folder(folder: Path) -> bool:
    """Tell whether a folder's name says that it holds segmentations."""
    return _FOLDER.fullmatch(folder.name) is not None


def stem_of(file: Path) -> str:
    """Return a file's name without what it says about the kind of file."""
    name = file.name
    suffix = next((s for s in _SUFFIXES if name.lower().endswith(s)), "")
    return name[: len(name) - len(suffix)]


def _rank(file: Path) -> int | None:
    """Return how surely a file is a segmentation, 0 first; None for a volume."""
    if is_slicer_segmentation(file):
        return 0
    if _MARKED.fullmatch(stem_of(file)):
        return 1
    return 2 if is_label_folder(file.parent) else None


def _by_place(volumes: list[Path]) -> dict[tuple[Path, str], Path]:
    """Return the volumes by folder and name, and by the folder above and name."""
    places: dict[tuple[Path, str], Path] = {}
    for above in (False, True):
        for volume in volumes:
            folder = volume.parent.parent / "*" if above else volume.parent
            stem = stem_of(volume).casefold()
            places.setdefault((folder, stem), volume)
            if stem.endswith(_FIRST_CHANNEL):
                places.setdefault((folder, stem[: -len(_FIRST_CHANNEL)]), volume)
    return places


def _places_of(file: Path) -> Iterator[tuple[Path, str]]:
    """Yield where the volume of a segmentation may lie, the likeliest first."""
    stem = stem_of(file)
    marked = _MARKED.fullmatch(stem)
    stems = [s.casefold() for s in ((marked.group(1), stem) if marked else (stem,))]
    folders = [file.parent]
    if is_label_folder(file.parent):
        folders += [file.parent.parent, file.parent.parent / "*"]
    for folder in folders:
        for name in stems:
            yield folder, name
