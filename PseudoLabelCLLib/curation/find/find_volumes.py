"""Volumes in a file or folder that could be added, with the segmentations that bear their names."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import SimpleITK as sitk

from PseudoLabelCLLib.curation.find.case_names import free_name, names_of
from PseudoLabelCLLib.curation.find.channel_files import PatientImages, images_with, patients_in
from PseudoLabelCLLib.curation.find.file_names import Channels, channels_in
from PseudoLabelCLLib.curation.find.find_dicom import FoundObject, FoundSeries, find_series
from PseudoLabelCLLib.curation.find.folder_walk import (
    files_in,
    folders_below,
    label_folders,
    volume_files,
)
from PseudoLabelCLLib.curation.find.segmentation_pairs import Pairs, pair_segmentations
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
    LeftOutError,
    QuestionError,
)
from PseudoLabelCLLib.domain.question_kinds import LEAVE_OUT, Choice, QuestionKind
from PseudoLabelCLLib.domain.reporting import ReportProgress, silent
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, counted, listed
from PseudoLabelCLLib.messages.answers import FoundVolume, Problem, VolumesFound
from PseudoLabelCLLib.storage.dicom.mark import looks_like_dicom
from PseudoLabelCLLib.storage.dicom.series_parts import series_and_part
from PseudoLabelCLLib.storage.images.frames import frames_in
from PseudoLabelCLLib.storage.images.itk_files import check_header, grid_of, quiet_itk

# Of so many files one is told.
FILES_PER_WORD = 20
# The answer that makes a case of each channel.
EVERY_CHANNEL = "every"
# The answer that makes all images of a patient channels of one case; the first channel follows.
ALL_CHANNELS = "all:"


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
    search = _Search(taken, Asking("", answers), progress, kept, tuple(channels))
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


@dataclass
class _Search:
    """What was found so far.

    Args:
        taken: Names that are given, in lower case.
        asking: Asks the person what could be wrong.
        progress: Called with the progress of the search.
        kept: Answers that the project keeps.
        channels: What the images of a case are called, if it has several.
        num_seen: Files that were seen in folders.
        num_done: Files of these that were looked at.
        volumes: The volumes.
        problems: What cannot be used.
        objects: DICOM segmentations.
        lone: Series that lie in a folder of their own, which is named as a file would be.
        chosen: Images of patients with several, each with the answer that chose it.
        patients: All images of a patient, by the first one, where a case has several.
    """

    taken: set[str]
    asking: Asking
    progress: ReportProgress = silent
    kept: Sequence[KeptAnswer] = ()
    channels: tuple[str, ...] = ()
    num_seen: int = 0
    num_done: int = 0
    volumes: list[FoundVolume] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    objects: list[FoundObject] = field(default_factory=list)
    lone: dict[Path, FoundSeries] = field(default_factory=dict)
    chosen: dict[Path, KeptAnswer] = field(default_factory=dict)
    patients: dict[Path, PatientImages] = field(default_factory=dict)

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
        pairs = pair_segmentations(files, root)
        self.num_done += len(files) - len(pairs.volumes)
        chosen = self._one_of_channels(root, pairs)
        names = names_of(list(chosen))
        for (path, segmentation), own_name in zip(chosen.items(), names, strict=True):
            name = self.patients[path].name if path in self.patients else own_name
            if path in self.lone:
                self._add_series(name, path, self.lone[path])
            else:
                self._look(Text("Reading the headers of volumes"))
                self._take(name, path, segmentation)
        self._tell_together(
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
        own = {image: found.get(image) for image in images_with(file, self.channels)}
        for first, segmentation in (self._together(own) if self.channels else own).items():
            patient = self.patients.get(first)
            name = names_of([first])[0] if patient is None else patient.name
            self._take(name, first, segmentation)

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
        for folder, series in self.lone.items():
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

    def tell(self, message: Text, remedy: Text, *, is_error: bool = True) -> None:
        """Note what cannot be used."""
        self.problems.append(Problem("", is_error, message, remedy))

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
                kept=self._kept_of(volume),
                channel=self.channels[0] if self.channels else "",
                further_images=self._further_of(volume),
            )
        )

    def _kept_of(self, volume: Path) -> tuple[KeptAnswer, ...]:
        answer = self.chosen.get(volume)
        return () if answer is None else (answer,)

    def _further_of(self, first: Path) -> tuple[NamedImage, ...]:
        patient = self.patients.get(first)
        further = () if patient is None else patient.further(self.channels)
        series = (self.lone.get(Path(one.image)) for one in further)
        return tuple(
            one if own is None else replace(one, series_uid=own.uid)
            for one, own in zip(further, series, strict=True)
        )

    def _together(self, found: dict[Path, Path | None]) -> dict[Path, Path | None]:
        """Return the first image of each patient with the segmentation of any of them."""
        patients, others = patients_in(found, self.channels)
        chosen: dict[Path, Path | None] = {}
        without = []
        for patient in patients:
            first = patient.files.get(self.channels[0])
            if first is None:
                without.append(next(iter(patient.files.values())))
                continue
            own = (found[file] for file in (first, *patient.files.values()))
            chosen[first] = next((file for file in own if file), None)
            self.patients[first] = patient
        self._tell_together(
            tuple(without),
            Text("belongs to a patient without a {channel} image", channel=self.channels[0]),
            Text("Add that image to the folder; segmentations lie on its grid."),
        )
        if not patients or len(self.channels) == 1:
            return chosen | {file: found[file] for file in others}
        self._tell_together(
            tuple(others),
            Text("does not say in its name which channel it is, and is left out"),
            Text(
                "Give it a name that ends in one of {channels}, if it is an image.",
                channels=", ".join(self.channels),
            ),
        )
        return chosen

    def _one_of_channels(self, root: Path, pairs: Pairs) -> dict[Path, Path | None]:
        """Return volumes with their segmentations; of channels of one patient the chosen one."""
        found = {**dict.fromkeys(self.lone), **dict(pairs.volumes)}
        if self.channels:
            return self._together(found)
        labels = [file for file in found.values() if file is not None]
        groups = channels_in(found, (*labels, *pairs.unmatched))
        if not groups:
            return found
        place_of = {file: n for n, group in enumerate(groups) for file in group.files.values()}
        choice = self._ask_about_channels(root, groups)
        for group in groups:
            told = f"'{_patient(group)}' has several images: {', '.join(group.files)}."
            answer = KeptAnswer(QuestionKind.CHANNELS, choice, told)
            self.chosen |= dict.fromkeys(group.files.values(), answer)
        if choice.startswith(ALL_CHANNELS):
            self.channels = _first_of(choice.removeprefix(ALL_CHANNELS), groups)
            return self._together(found)
        chosen: dict[Path, Path | None] = {}
        for volume, annotation in found.items():
            if volume not in place_of or choice == EVERY_CHANNEL:
                chosen[volume] = annotation
                continue
            files = groups[place_of[volume]].files
            if files.get(choice) == volume:
                own = (found[file] for file in files.values())
                chosen[volume] = next((file for file in own if file), None)
        self._tell_together(
            tuple(
                next(iter(group.files.values()))
                for group in groups
                if choice not in (*group.files, EVERY_CHANNEL, "")
            ),
            Text("belongs to a patient without an image called '{name}'", name=choice),
            Text("Choose another channel, or add the volume by itself."),
        )
        return chosen

    def _ask_about_channels(self, root: Path, groups: tuple[Channels, ...]) -> str:
        """Return which channel is taken; an empty text takes none of them."""
        names = dict.fromkeys(name for group in groups for name in group.files)
        first = groups[0]
        all_of_them = [f"{ALL_CHANNELS}{name}" for name in names]
        kept = self._kept_choice((*names, *all_of_them, EVERY_CHANNEL))
        if kept:
            return kept
        choices = (
            *(
                Choice(
                    f"{ALL_CHANNELS}{name}",
                    Text("All, on the grid of {name}", name=name),
                    Text(
                        "makes all images of a patient channels of one case, whose segmentations "
                        "lie on '{name}'",
                        name=name,
                    ),
                )
                for name in names
            ),
            *(
                Choice(
                    name,
                    Text("{name}", name=name),
                    Text("takes the images called '{name}'", name=name),
                )
                for name in names
            ),
            Choice(
                EVERY_CHANNEL, Text("Each as its own case"), Text("makes each image its own case")
            ),
            LEAVE_OUT,
        )
        try:
            return self.asking.ask(
                QuestionKind.CHANNELS,
                counted(
                    len(groups),
                    "In '{folder}', {count} patient has several images each, such as '{first}': "
                    "{names}. A case has one image, or all of them as channels.",
                    "In '{folder}', {count} patients have several images each, such as '{first}': "
                    "{names}. A case has one image, or all of them as channels.",
                    folder=root,
                    first=_patient(first),
                    names=", ".join(first.files),
                ),
                choices=choices,
            )
        except QuestionError as asked:
            problem = Problem("", is_error=True, message=asked.message, remedy=NO_TEXT)
            self.problems.append(replace(problem, question=asked.question))
        except LeftOutError as left_out:
            self.tell(left_out.message, NO_TEXT, is_error=False)
        return ""

    def _kept_choice(self, names: Sequence[str]) -> str:
        """Return what the project keeps as answer, if nobody answers now and it fits; and tell."""
        if any(one.kind is QuestionKind.CHANNELS for one in self.asking.given):
            return ""
        own = (one.value for one in self.kept if one.kind is QuestionKind.CHANNELS)
        kept = next(own, "")
        if kept not in names:
            return ""
        self.tell(
            Text(
                "Patients have several images each; the answer that the project keeps was used: "
                "channels={kept}.",
                kept=kept,
            ),
            Text(
                "To take another one, add its files by themselves, or, on the command line, "
                "answer anew with --answer channels=NAME."
            ),
            is_error=False,
        )
        return kept

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
        self._tell_together(
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
        if alone:
            self.lone[folder.absolute()] = series
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
                kept=self._kept_of(folder),
                channel=self.channels[0] if self.channels else "",
                further_images=self._further_of(folder),
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
        self._tell_together(
            tuple(unmatched),
            Text("is a DICOM segmentation, and no series that it refers to was found"),
            Text("Add the volume by itself, then choose its segmentation."),
        )
        self._tell_spare(tuple(spare))

    def _tell_spare(self, files: tuple[Path, ...]) -> None:
        self._tell_together(
            files,
            Text("is another segmentation of a volume that already has one"),
            Text("Change the segmentation of that volume if this is the one to use."),
        )

    def _tell_together(self, files: tuple[Path, ...], found: Text, remedy: Text) -> None:
        if not files:
            return
        more = Text(" So are {count} others.", count=len(files) - 1) if files[1:] else NO_TEXT
        self.tell(
            Text("'{file}' {found}.{more}", file=files[0], found=found, more=more),
            remedy,
            is_error=False,
        )


def _first_of(channel: str, groups: tuple[Channels, ...]) -> tuple[str, ...]:
    """Return the names of all channels, the chosen one first."""
    names = dict.fromkeys(name for group in groups for name in group.files)
    return (channel, *(name for name in names if name != channel))


def _patient(group: Channels) -> str:
    """Return what a patient with several images is called."""
    return group.name or next(iter(group.files.values())).parent.name
