"""Volumes in a file or folder that could be added, with the segmentations that bear their names."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import SimpleITK as sitk

from PseudoLabelCLLib.curation.find.case_names import free_name, names_of
from PseudoLabelCLLib.curation.find.channel_choice import ChannelChoice
from PseudoLabelCLLib.curation.find.channel_files import channel_of_file, images_with
from PseudoLabelCLLib.curation.find.find_dicom import FoundObject, FoundSeries, find_series
from PseudoLabelCLLib.curation.find.folder_walk import (
    files_in,
    folders_below,
    label_folders,
    volume_files,
)
from PseudoLabelCLLib.curation.find.search_notes import SearchNotes
from PseudoLabelCLLib.curation.find.segmentation_pairs import pair_segmentations
from PseudoLabelCLLib.curation.find.study_channels import channels_of_study
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, VolumeError
from PseudoLabelCLLib.domain.file_formats import (
    READABLE_SUFFIXES,
    image_suffix,
    is_slicer_segmentation,
)
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.question import (
    Asking,
    GivenAnswer,
    KeptAnswer,
)
from PseudoLabelCLLib.domain.reporting import ReportProgress, silent
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, listed
from PseudoLabelCLLib.messages.answers import FoundVolume, VolumesFound
from PseudoLabelCLLib.storage.dicom.mark import looks_like_dicom
from PseudoLabelCLLib.storage.dicom.series_parts import series_and_part
from PseudoLabelCLLib.storage.images.frames import frames_in
from PseudoLabelCLLib.storage.images.itk_files import check_header, grid_of, quiet_itk

# Of so many files one is told.
FILES_PER_WORD = 20


def find_volumes(
    path: Path,
    taken_ids: Iterable[str],
    *,
    progress: ReportProgress = silent,
    answers: Sequence[GivenAnswer] = (),
    kept: Sequence[KeptAnswer] = (),
    channels: Sequence[str] = (),
) -> VolumesFound:
    """Look for volumes in a file, or in a folder and all below it.

    Label maps, known by their names and folders, are no volumes.

    Headers alone are read. Hidden files and folders are passed over, links to folders are followed
    once.

    Args:
        path: The file or folder.
        taken_ids: Names that the project has already.
        progress: Called now and then with the number of files read, of those found so far.
        answers: What a person answered to the questions of an earlier search;
            without an answer that is needed, nothing is found but the question.
        kept: What a person answered when other cases of the project were looked for, the newest
            first; it counts where it is an answer here too, which is told.
        channels: What the images of a case are called, if it has several: the images of a patient
            are then found together.

    Raises:
        VolumeError: There is no such file or folder.
        StorageError: The folder cannot be read.
    """
    if not path.exists():
        raise VolumeError(
            Text("The file or folder '{path}' was not found.", path=path), Text("Check the path.")
        )
    taken = {name.casefold() for name in taken_ids}
    search = _Search(taken=taken, progress=progress)
    search.choice = ChannelChoice(search, Asking("", answers), kept, tuple(channels))
    if path.is_dir():
        search.look_below(path)
    elif image_suffix(path) in READABLE_SUFFIXES:
        search.look_at(path)
    elif looks_like_dicom(path):
        search.look_at_series_of(path)
    else:
        search.tell(
            Text(
                "'{path}' has an unknown format; expected {formats} or DICOM.",
                path=path,
                formats=", ".join(READABLE_SUFFIXES),
            ),
            Text("Export the volume in one of these formats."),
        )
    if not search.volumes and not search.problems:
        search.tell(
            Text("No volume was found in '{path}'.", path=path),
            Text(
                "Choose a folder with files such as {formats}, or with DICOM slices.",
                formats=", ".join(READABLE_SUFFIXES),
            ),
        )
    # what is found with the answer is found as a whole
    is_asked = any(problem.question is not None for problem in search.problems)
    return VolumesFound(() if is_asked else tuple(search.volumes), tuple(search.problems))


def grid_in_header(path: Path) -> Geometry:
    """Return the grid of a volume file without a look at its voxels.

    Raises:
        VolumeError: Its header is damaged, or it is not a single 3-D volume of real numbers.
    """
    check_header(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(os.fspath(path))
    with quiet_itk(path):
        reader.ReadImageInformation()
    if reader.GetNumberOfComponents() != 1:
        raise VolumeError(
            Text(
                "'{path}' holds colours or vectors ({components} per voxel); "
                "expected one intensity.",
                path=path,
                components=reader.GetNumberOfComponents(),
            ),
            Text("Convert it to a grey-scale volume, or choose another file."),
        )
    return grid_of(path, reader)


class SeriesInFolder(NamedTuple):
    """A series of a folder, and whether it is the only one there."""

    folder: Path
    series: FoundSeries
    alone: bool


@dataclass
class _Search(SearchNotes):
    """What was found so far.

    Args:
        taken: Names that are given, in lower case.
        progress: Called with the progress of the search.
        num_seen: Files that were seen in folders.
        num_done: Files of these that were looked at.
        volumes: The volumes.
        objects: DICOM segmentations.
        studies: Series of projects with channels, by their study.
        choice: Which images of a patient with several are taken.
    """

    taken: set[str] = field(default_factory=set)
    progress: ReportProgress = silent
    num_seen: int = 0
    num_done: int = 0
    volumes: list[FoundVolume] = field(default_factory=list)
    objects: list[FoundObject] = field(default_factory=list)
    studies: dict[str, list[SeriesInFolder]] = field(default_factory=dict)
    choice: ChannelChoice = field(init=False)

    def __post_init__(self) -> None:
        self.choice = ChannelChoice(self, Asking(""))

    def look_below(self, root: Path) -> None:
        """Take the volumes of a folder and of all below it."""
        files: list[Path] = []
        for folder, own in folders_below(root, self.tell):
            self.num_seen += len(own)
            files += (file for file in own if image_suffix(file) in READABLE_SUFFIXES)
            others = [file for file in own if image_suffix(file) not in READABLE_SUFFIXES]
            slices = [file for file in others if looks_like_dicom(file)]
            self.num_done += len(others) - len(slices)
            self._take_series(folder, slices)
        self._take_studies()
        pairs = pair_segmentations(files, root)
        self.num_done += len(files) - len(pairs.volumes)
        chosen = self.choice.chosen_of(root, pairs)
        names = names_of(list(chosen))
        for (path, segmentation), own_name in zip(chosen.items(), names, strict=True):
            name = self.choice.name_of(path, own_name)
            if path in self.choice.lone:
                self._add_series(name, path, self.choice.lone[path])
            else:
                self._look(Text("Reading the headers of volumes"))
                self._take(name, path, segmentation)
        self.tell_together(
            pairs.unmatched,
            Text("is a segmentation, judging by its name, and no volume of that name was found"),
            Text("Add the volume by itself, then choose its segmentation."),
        )
        self._give_objects()
        self._tell_spare(pairs.spare)

    def look_at(self, file: Path) -> None:
        """Take one file, whatever its name says, with the segmentation beside it."""
        if is_slicer_segmentation(file):
            self.tell(
                Text("'{file}' is a segmentation, not a volume.", file=file.name),
                Text("Choose the volume that it was drawn on."),
            )
            return
        near = [file.parent, *label_folders(file.parent), *label_folders(file.parent.parent)]
        files = dict.fromkeys(f for folder in near for f in volume_files(folder))
        found = dict(pair_segmentations(files).volumes)
        choice = self.choice
        own = {image: found.get(image) for image in images_with(file, choice.channels)}
        for first, segmentation in (choice.together(own) if choice.channels else own).items():
            self._take(choice.name_of(first, names_of([first])[0]), first, segmentation)

    def look_at_series_of(self, file: Path) -> None:
        """Take the series that one DICOM file belongs to."""
        chosen = find_series(file.parent, [file])
        if chosen.objects or chosen.fractional:
            self.tell(
                Text("'{file}' is a segmentation, not a volume.", file=file.name),
                Text("Choose the series that it was drawn on."),
            )
            return
        siblings = [other for other in files_in(file.parent) if looks_like_dicom(other)]
        only = {series_and_part(series.uid)[0] or "" for series in chosen.series}
        self.num_seen = len(siblings)
        self._take_series(file.parent, siblings, only=only)
        self._take_studies()
        for folder, series in self.choice.lone.items():
            self._add_series(folder.name, folder, series)
        self.objects = [found for found in self.objects if only & set(found.series_uids)]
        self._give_objects()

    def _look(self, words: Text) -> None:
        """Tell, now and then, that one more file is looked at."""
        if self.num_done % FILES_PER_WORD == 0:
            self.progress(words, self.num_done, max(self.num_seen, self.num_done))
        self.num_done += 1

    def _each(self, slices: list[Path]) -> Iterator[Path]:
        for file in slices:
            self._look(Text("Looking at DICOM files"))
            yield file

    def _take(self, name: str, volume: Path, segmentation: Path | None) -> None:
        try:
            frames = frames_in(volume)
            words = (
                grid_in_header(volume).describe()
                if frames is None
                else Text("{count} volumes in one file", count=frames.number)
            )
        except PseudoLabelCLError as error:
            self.tell(error.message, error.remedy)
            return
        self.volumes.append(
            FoundVolume(
                case_id=free_name(name, self.taken),
                image=str(volume),
                series_uid=None,
                description=words,
                annotation=None if segmentation is None else str(segmentation),
                kept=self.choice.kept_of(volume),
                channel=self.choice.first_channel,
                further_images=self.choice.further_of(volume),
            )
        )

    def _take_series(self, folder: Path, files: list[Path], only: set[str] | None = None) -> None:
        if not files:
            return
        found = find_series(folder, self._each(files))
        for series in found.series:
            if only is None or series_and_part(series.uid)[0] in only:
                self._take_one_series(folder, series, alone=len(found.series) == 1)
        self.objects += found.objects
        if only is not None:
            return
        self.tell_together(
            found.fractional,
            Text("is a segmentation that holds fractions instead of labels"),
            Text("Save it as a binary segmentation in the program that made it."),
        )
        if found.num_without_image:
            self.tell(
                Text(
                    "{count} of the DICOM files in '{folder}' hold no image "
                    "that can be read, such as reports or structures.",
                    count=found.num_without_image,
                    folder=folder,
                ),
                Text("Nothing needs to be done unless a volume is missing."),
                is_error=False,
            )

    def _take_one_series(self, folder: Path, series: FoundSeries, *, alone: bool) -> None:
        if series.geometry is None or series.problem is not None:
            problem = series.problem or VolumeError(
                Text("A series in '{folder}' does not form a volume.", folder=folder)
            )
            name = f" ('{series.description}')" if series.description else ""
            self.tell(
                Text(
                    "{reason} This is series {series}{name}.",
                    reason=problem.message,
                    series=series.uid,
                    name=name,
                ),
                problem.remedy,
            )
            return
        one = SeriesInFolder(folder, series, alone=alone)
        channels = self.choice.channels
        if len(channels) > 1 and not (alone and channel_of_file(folder.absolute(), channels)):
            self.studies.setdefault(series.study_uid, []).append(one)
        else:
            self._propose(one)

    def _take_studies(self) -> None:
        """Propose the series of each study together, as far as they say which channels they are."""
        for study in self.studies.values():
            channels = self.choice.channels
            found = channels_of_study([one.series.description for one in study], channels)
            if channels[0] in found.series and len(found.series) > 1:
                self._propose_together(study, found.series)
                continue
            for one in study:
                self._propose(one)
            if found.doubtful:
                self.tell(
                    Text(
                        "Several series of one study in '{folder}' may be the {channels} image, so "
                        "each is proposed by itself.",
                        folder=study[0].folder,
                        channels=", ".join(found.doubtful),
                    ),
                    Text(
                        "Add the first image of the patient, then the further ones with a right "
                        "click, or name them in a table of cases."
                    ),
                    is_error=False,
                )
        self.studies.clear()

    def _propose_together(
        self, study: Sequence[SeriesInFolder], numbers: Mapping[str, int]
    ) -> None:
        """Propose the series of a study as one case; tell which of its series are no channel."""
        channels = self.choice.channels
        first = study[numbers[channels[0]]]
        further = [(one, study[numbers[one]]) for one in channels[1:] if one in numbers]
        own, folders = first.series, {one.folder for one in (first, *(one for _, one in further))}
        place = first.folder.resolve()
        name = place.name if len(folders) == 1 else place.parent.name
        told = [f"{channel}: {one.series.description}" for channel, one in further]
        size = own.geometry.describe() if own.geometry else NO_TEXT
        self.volumes.append(
            FoundVolume(
                case_id=free_name(name, self.taken),
                image=str(first.folder),
                series_uid=own.uid,
                description=listed([own.description, size, *told]),
                channel=channels[0],
                further_images=tuple(
                    NamedImage(channel, str(one.folder), one.series.uid) for channel, one in further
                ),
            )
        )
        others = [one for n, one in enumerate(study) if n not in numbers.values()]
        if others:
            names = [one.series.description or one.series.uid for one in others]
            self.tell(
                Text(
                    "Of a study in '{folder}', these series name none of the channels and are left "
                    "out: {names}.",
                    folder=first.folder,
                    names=", ".join(names),
                ),
                Text("Nothing needs to be done unless an image is missing."),
                is_error=False,
            )

    def _propose(self, one: SeriesInFolder) -> None:
        folder, series = one.folder, one.series
        if one.alone:
            self.choice.lone[folder.absolute()] = series
        else:
            words = series.description or series.uid.rpartition(".")[2]
            self._add_series(f"{folder.resolve().name} {words}", folder, series)

    def _add_series(self, name: str, folder: Path, series: FoundSeries) -> None:
        size = series.geometry.describe() if series.geometry else NO_TEXT
        self.volumes.append(
            FoundVolume(
                case_id=free_name(name, self.taken),
                image=str(folder),
                series_uid=series.uid,
                description=listed([series.description, size]),
                kept=self.choice.kept_of(folder),
                channel=self.choice.first_channel,
                further_images=self.choice.further_of(folder),
            )
        )

    def _give_objects(self) -> None:
        """Give each DICOM segmentation to the volume whose series it refers to."""
        unmatched, spare = [], []
        for found in self.objects:
            place = next(
                (
                    n
                    for n, v in enumerate(self.volumes)
                    if series_and_part(v.series_uid)[0] in found.series_uids
                ),
                None,
            )
            if place is None:
                unmatched.append(found.file)
            elif self.volumes[place].annotation is not None:
                spare.append(found.file)
            else:
                self.volumes[place] = replace(self.volumes[place], annotation=str(found.file))
        self.tell_together(
            tuple(unmatched),
            Text("is a DICOM segmentation, and no series that it refers to was found"),
            Text("Add the volume by itself, then choose its segmentation."),
        )
        self._tell_spare(tuple(spare))

    def _tell_spare(self, files: tuple[Path, ...]) -> None:
        self.tell_together(
            files,
            Text("is another segmentation of a volume that already has one"),
            Text("Change the segmentation of that volume if this is the one to use."),
        )
