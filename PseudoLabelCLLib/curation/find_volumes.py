"""Volumes in a file or folder that could be added, with the segmentations that bear their names."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import SimpleITK as sitk

from PseudoLabelCLLib.curation.find_dicom import FoundObject, FoundSeries, find_series
from PseudoLabelCLLib.curation.segmentation_pairs import (
    is_label_folder,
    is_slicer_segmentation,
    pair_segmentations,
    stem_of,
)
from PseudoLabelCLLib.domain.case import MAX_CASE_ID_LENGTH, check_case_id
from PseudoLabelCLLib.domain.desk_answers import FoundVolume, Problem, VolumesFound
from PseudoLabelCLLib.domain.errors import ProjectError, PseudoLabelCLError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.reporting import SayProgress, silent
from PseudoLabelCLLib.storage.atomic_files import storage_error
from PseudoLabelCLLib.storage.dicom_mark import looks_like_dicom
from PseudoLabelCLLib.storage.itk_files import (
    READABLE_SUFFIXES,
    check_header,
    file_suffix,
    grid_of,
    quiet_itk,
)

MAX_FILES = 50_000
# Of so many files one is told.
FILES_PER_WORD = 20
PROJECT_FILE = "project.json"
_UNFIT = re.compile(r'[\x00-\x1f/\\:*?"<>|]+')


def find_volumes(
    path: Path, taken_ids: Iterable[str], *, progress: SayProgress = silent
) -> VolumesFound:
    """Look for volumes in a file, or in a folder and all below it.

    Headers alone are read. Hidden files and folders are passed over, links to folders are followed
    once.

    Args:
        path: The file or folder.
        taken_ids: Names that the project has already.
        progress: Is told now and then how many of the files seen so far were looked at.

    Raises:
        VolumeError: There is no such file or folder.
        StorageError: The folder cannot be read.
    """
    if not path.exists():
        raise VolumeError(f"There is no file or folder '{path}'.", "Check the path.")
    search = _Search({name.casefold() for name in taken_ids}, progress)
    if path.is_dir():
        search.look_below(path)
    elif file_suffix(path) in READABLE_SUFFIXES:
        search.look_at(path)
    elif looks_like_dicom(path):
        search.look_at_series_of(path)
    else:
        search.tell(
            f"'{path}' is of an unknown format; expected {', '.join(READABLE_SUFFIXES)} or DICOM.",
            "Export the volume in one of these formats.",
        )
    if not search.volumes and not search.problems:
        search.tell(
            f"No volume was found in '{path}'.",
            f"Choose a folder with files such as {', '.join(READABLE_SUFFIXES)}, or with DICOM "
            "slices.",
        )
    return VolumesFound(tuple(search.volumes), tuple(search.problems))


def grid_in_header(path: Path) -> Geometry:
    """Return the grid of a volume file without a look at its voxels.

    Raises:
        VolumeError: Its header is damaged, or it is no single 3-D volume of real numbers.
    """
    check_header(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(os.fspath(path))
    with quiet_itk(path):
        reader.ReadImageInformation()
    if reader.GetNumberOfComponents() != 1:
        raise VolumeError(
            f"'{path}' holds colours or vectors ({reader.GetNumberOfComponents()} per voxel); "
            "expected one intensity.",
            "Convert it to a grey-scale volume, or choose another file.",
        )
    return grid_of(path, reader)


@dataclass
class _Search:
    """What was found so far.

    Args:
        taken: Names that are given, in lower case.
        progress: Is told how far the search is.
        num_seen: Files that were seen in folders.
        num_done: Files of these that were looked at.
        volumes: The volumes.
        problems: What cannot be used.
        objects: DICOM segmentations.
    """

    taken: set[str]
    progress: SayProgress = silent
    num_seen: int = 0
    num_done: int = 0
    volumes: list[FoundVolume] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    objects: list[FoundObject] = field(default_factory=list)

    def look_below(self, root: Path) -> None:
        """Take the volumes of a folder and of all below it."""
        files: list[Path] = []
        for folder, own in self._folders(root):
            self.num_seen += len(own)
            files += (file for file in own if file_suffix(file) in READABLE_SUFFIXES)
            others = [file for file in own if file_suffix(file) not in READABLE_SUFFIXES]
            slices = [file for file in others if looks_like_dicom(file)]
            self.num_done += len(others) - len(slices)
            self._take_series(folder, slices)
        pairs = pair_segmentations(files)
        self.num_done += len(files) - len(pairs.volumes)
        for volume, segmentation in pairs.volumes:
            self._look("Reading the headers of volumes")
            self._take(volume, segmentation)
        self._tell_together(
            pairs.unmatched,
            "is a segmentation by its name, and no volume of that name was found",
            "Add the volume by itself, then choose its segmentation.",
        )
        self._give_objects()
        self._tell_spare(pairs.spare)

    def look_at(self, file: Path) -> None:
        """Take one file, whatever its name says, with the segmentation beside it."""
        if is_slicer_segmentation(file):
            self.tell(
                f"'{file.name}' is a segmentation, not a volume.",
                "Choose the volume that it was drawn on.",
            )
            return
        near = [file.parent, *_label_folders(file.parent), *_label_folders(file.parent.parent)]
        files = dict.fromkeys(f for folder in near for f in _volume_files(folder))
        found = dict(pair_segmentations(files).volumes)
        self._take(file, found.get(file))

    def look_at_series_of(self, file: Path) -> None:
        """Take the series that one DICOM file belongs to."""
        chosen = find_series(file.parent, [file])
        if chosen.objects or chosen.fractional:
            self.tell(
                f"'{file.name}' is a segmentation, not a volume.",
                "Choose the series that it was drawn on.",
            )
            return
        siblings = [other for other in _files_in(file.parent) if looks_like_dicom(other)]
        only = {series.uid for series in chosen.series}
        self.num_seen = len(siblings)
        self._take_series(file.parent, siblings, only=only)
        self.objects = [found for found in self.objects if only & set(found.series_uids)]
        self._give_objects()

    def _look(self, words: str) -> None:
        """Tell, now and then, that one more file is looked at."""
        if self.num_done % FILES_PER_WORD == 0:
            self.progress(words, self.num_done, max(self.num_seen, self.num_done))
        self.num_done += 1

    def _each(self, slices: list[Path]) -> Iterator[Path]:
        for file in slices:
            self._look("Looking at DICOM files")
            yield file

    def tell(self, message: str, remedy: str, *, is_error: bool = True) -> None:
        """Note what cannot be used."""
        self.problems.append(Problem("", is_error, message, remedy))

    def _take(self, volume: Path, segmentation: Path | None) -> None:
        try:
            geometry = grid_in_header(volume)
        except PseudoLabelCLError as error:
            self.tell(error.message, error.remedy)
            return
        self.volumes.append(
            FoundVolume(
                case_id=self._free_name(stem_of(volume)),
                image=str(volume),
                series_uid=None,
                description=geometry.describe(),
                annotation=None if segmentation is None else str(segmentation),
            )
        )

    def _take_series(self, folder: Path, files: list[Path], only: set[str] | None = None) -> None:
        if not files:
            return
        found = find_series(folder, self._each(files))
        for series in found.series:
            if only is None or series.uid in only:
                self._take_one_series(folder, series, alone=len(found.series) == 1)
        self.objects += found.objects
        if only is not None:
            return
        self._tell_together(
            found.fractional,
            "is a segmentation that holds fractions in place of labels",
            "Save it as a binary segmentation in the program that made it.",
        )
        if found.num_without_image:
            self.tell(
                f"{found.num_without_image} of the DICOM files in '{folder}' hold no image that "
                "can be read, such as reports or structures.",
                "Nothing is to be done unless a volume is missing.",
                is_error=False,
            )

    def _take_one_series(self, folder: Path, series: FoundSeries, *, alone: bool) -> None:
        if series.geometry is None or series.problem is not None:
            problem = series.problem or VolumeError(f"A series in '{folder}' makes no volume.")
            name = f" ('{series.description}')" if series.description else ""
            self.tell(f"{problem.message} This is series {series.uid}{name}.", problem.remedy)
            return
        name = folder.resolve().name
        if not alone:
            name = f"{name} {series.description or series.uid.rpartition('.')[2]}"
        size = series.geometry.describe()
        self.volumes.append(
            FoundVolume(
                case_id=self._free_name(name),
                image=str(folder),
                series_uid=series.uid,
                description=f"{series.description}, {size}" if series.description else size,
            )
        )

    def _give_objects(self) -> None:
        """Give each DICOM segmentation to the volume whose series it refers to."""
        unmatched, spare = [], []
        for found in self.objects:
            place = next(
                (n for n, v in enumerate(self.volumes) if v.series_uid in found.series_uids), None
            )
            if place is None:
                unmatched.append(found.file)
            elif self.volumes[place].annotation is not None:
                spare.append(found.file)
            else:
                self.volumes[place] = replace(self.volumes[place], annotation=str(found.file))
        self._tell_together(
            tuple(unmatched),
            "is a DICOM segmentation, and no series that it refers to was found",
            "Add the volume by itself, then choose its segmentation.",
        )
        self._tell_spare(tuple(spare))

    def _tell_spare(self, files: tuple[Path, ...]) -> None:
        self._tell_together(
            files,
            "is one more segmentation of a volume that has one",
            "Change the segmentation of that volume if this is the one that counts.",
        )

    def _free_name(self, wanted: str) -> str:
        """Return a name for a case that nobody has, as near as possible to the one wanted."""
        name = (
            " ".join(_UNFIT.sub("_", wanted)[:MAX_CASE_ID_LENGTH].split()).strip(" .") or "volume"
        )
        try:
            check_case_id(name)
        except ProjectError:  # such as a device on Windows
            name = f"volume {name}"
        number, free = 1, name
        while free.casefold() in self.taken:
            number += 1
            end = f"-{number}"
            free = name[: MAX_CASE_ID_LENGTH - len(end)].rstrip(" .") + end
        self.taken.add(free.casefold())
        return free

    def _folders(self, root: Path) -> Iterator[tuple[Path, list[Path]]]:
        """Yield every folder once with its files, until there are too many."""
        waiting, seen, num_files = [root], set[tuple[int, int]](), 0
        while waiting:
            folder = waiting.pop()
            try:
                stat = folder.stat()
                entries = _entries(folder)
            except OSError as error:
                told = storage_error(folder, error, action="read")
                if folder == root:
                    raise told from error
                self.tell(told.message, told.remedy, is_error=False)
                continue
            if (stat.st_dev, stat.st_ino) in seen:
                continue
            seen.add((stat.st_dev, stat.st_ino))
            if any(entry.name == PROJECT_FILE for entry in entries):
                self.tell(
                    f"'{folder}' is a project; its own files are no new volumes.",
                    "Open the project, or choose the folder of the volumes.",
                    is_error=folder == root,
                )
                continue
            waiting += (Path(e.path) for e in reversed(entries) if e.is_dir())
            files = [Path(entry.path) for entry in entries if entry.is_file()]
            num_files += len(files)
            if num_files > MAX_FILES:
                self.tell(
                    f"'{root}' holds more than {MAX_FILES} files; only the first were looked at.",
                    "Choose a folder further down.",
                    is_error=False,
                )
                return
            yield folder, files

    def _tell_together(self, files: tuple[Path, ...], found: str, remedy: str) -> None:
        if not files:
            return
        more = f" So are {len(files) - 1} others." if files[1:] else ""
        self.tell(f"'{files[0]}' {found}.{more}", remedy, is_error=False)


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """Return what lies in a folder, in the order that a person counts, without hidden files."""
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(shown, key=lambda entry: _counted(entry.name))


def _counted(name: str) -> list[tuple[int, str]]:
    """Return what puts "scan 10" behind "scan 9"."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _files_in(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in _entries(folder) if entry.is_file()]
    except OSError as error:
        raise storage_error(folder, error, action="read") from error


def _volume_files(folder: Path) -> list[Path]:
    return [file for file in _files_in(folder) if file_suffix(file) in READABLE_SUFFIXES]


def _label_folders(folder: Path) -> list[Path]:
    try:
        return [
            Path(e.path) for e in _entries(folder) if is_label_folder(Path(e.path)) and e.is_dir()
        ]
    except OSError:  # a folder above may be closed to us
        return []
