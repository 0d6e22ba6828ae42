"""Which of many files are segmentations, and of which volume, as their names and folders tell."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLLib.curation.find.file_names import (
    Sign,
    channels_in,
    key_of,
    label_folder_of,
    labelled_stems,
    sign_of,
    stem_of,
)

# the first channel of a volume, where a segmentation has the name without it
_FIRST_CHANNEL = "_0000"
# of several versions of one segmentation in folders of their own, MONAI Label's the one that counts
_FINAL_FOLDER = "final"


@dataclass(frozen=True)
class Pairs:
    """Files by kind.

    Args:
        volumes: Each volume with its segmentation, or None.
        unmatched: Segmentations without a volume.
        spare: Segmentations of a volume that has a better one.
    """

    volumes: tuple[tuple[Path, Path | None], ...]
    unmatched: tuple[Path, ...]
    spare: tuple[Path, ...]


def pair_segmentations(files: Iterable[Path], root: Path | None = None) -> Pairs:
    """Tell volumes from segmentations, and give each segmentation to its volume.

    Of several segmentations of a volume, one in Slicer's form is taken before one with a mark in
    its name, and that before one in a folder of labels.

    Args:
        files: The files.
        root: Where the search for them began, or None; folders above it say nothing.
    """
    files = list(files)
    signs = {file: sign for file in files if (sign := sign_of(file, root)) is not None}
    volumes = [file for file in files if file not in signs]
    places = _Places.of(volumes, signs)
    # stable: else in the order of the files
    ranked = sorted(signs, key=lambda f: (signs[f].value, f.parent.name != _FINAL_FOLDER))
    taken: dict[Path, Path] = {}
    unmatched, spare, images = [], [], set[Path]()
    for file in ranked:
        volume = places.volume_of(file, root)
        if volume is None and signs[file] is Sign.PREFIX:
            images.add(file)
        elif volume is None:
            unmatched.append(file)
        elif volume in taken:
            spare.append(file)
        else:
            taken[volume] = file
    told_apart = [file for file in files if file not in signs or file in images]
    return Pairs(tuple((v, taken.get(v)) for v in told_apart), tuple(unmatched), tuple(spare))


@dataclass(frozen=True)
class _Places:
    """Volumes by where they lie.

    Args:
        by_name: By folder and name.
        by_key: By folder and what of the name says whose it is; of several channels the first.
        in_folder: By folder.
        below: Folders with volumes by each folder above them.
    """

    by_name: dict[tuple[Path, str], Path]
    by_key: dict[tuple[Path, tuple[str, ...]], list[Path]]
    in_folder: dict[Path, list[Path]]
    below: dict[Path, list[Path]]

    @staticmethod
    def of(volumes: list[Path], labels: Iterable[Path]) -> "_Places":
        by_name: dict[tuple[Path, str], Path] = {}
        by_key: dict[tuple[Path, tuple[str, ...]], list[Path]] = {}
        in_folder: dict[Path, list[Path]] = {}
        first = {
            file: next(iter(channels.files.values()))
            for channels in channels_in(volumes, labels)
            for file in channels.files.values()
        }
        for volume in volumes:
            folder, stem = volume.parent, stem_of(volume).casefold()
            by_name.setdefault((folder, stem), volume)
            if stem.endswith(_FIRST_CHANNEL):
                by_name.setdefault((folder, stem[: -len(_FIRST_CHANNEL)]), volume)
            if first.get(volume, volume) is volume:
                by_key.setdefault((folder, key_of(stem)), []).append(volume)
                in_folder.setdefault(folder, []).append(volume)
        below: dict[Path, list[Path]] = {}
        for folder in in_folder:
            for above in folder.parents:
                below.setdefault(above, []).append(folder)
        return _Places(by_name, by_key, in_folder, below)

    def volume_of(self, file: Path, root: Path | None) -> Path | None:
        """Return the volume of a segmentation, or None where no name tells it."""
        stems = list(labelled_stems(file))
        for folders in self._folders_for(file, root):
            for stem in stems:
                exact = [v for f in folders if (v := self.by_name.get((f, stem)))]
                if exact:
                    return exact[0]
            for stem in stems:
                fitting = self._fitting(folders, stem)
                if len(fitting) == 1:
                    return fitting[0]
        return None

    def _fitting(self, folders: list[Path], stem: str) -> list[Path]:
        key = key_of(stem)
        if key:
            return [v for folder in folders for v in self.by_key.get((folder, key), ())]
        # "segmentation.nii.gz" says nothing of whose it is: the only volume beside it
        return [v for folder in folders for v in self.in_folder.get(folder, ())]

    def _folders_for(self, file: Path, root: Path | None) -> Iterator[list[Path]]:
        """Yield where the volume may lie, the likeliest first."""
        yield [file.parent]
        labels = label_folder_of(file, root)
        if labels is None:
            return
        below, above = file.parent.relative_to(labels), labels.parent
        yield [above / below]
        yield [above]
        others = self.below.get(above, [])
        siblings = dict.fromkeys(above / other.relative_to(above).parts[0] for other in others)
        yield [sibling / below for sibling in siblings]
        yield list(siblings)
