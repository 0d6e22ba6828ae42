"""The cases that the arguments of `create` and `add` name: files, folders of volumes, a table."""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.command_line.console import Console
from PseudoLabelCLLib.command_line.with_noun import with_noun
from PseudoLabelCLLib.curation.cases.case_csv import case_id_from_path, read_case_table
from PseudoLabelCLLib.curation.find.case_names import are_called_the_same, fit_name, names_of
from PseudoLabelCLLib.curation.find.channel_files import PatientImages, patient_of, require_all
from PseudoLabelCLLib.curation.find.file_names import stem_of
from PseudoLabelCLLib.curation.find.find_volumes import find_volumes
from PseudoLabelCLLib.curation.find.segmentation_pairs import pair_segmentations
from PseudoLabelCLLib.domain.case import CaseRole, NewCase, kept_answers
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.errors import ProjectError, VolumeError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import KeptAnswer, QuestionError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import FoundVolume, Problem


@dataclass(frozen=True)
class _Named:
    """A volume that the arguments name, or that lies in a folder that they name.

    Args:
        role: What it is used for.
        image: The file, or a folder of slices.
        annotation: Its segmentation, or None.
        found_as: What it is called where it was found in a folder, or empty.
        kept: What a person answered when it was found.
        channel: Which channel it is; empty for one unnamed image.
        further: The other images of the patient.
        series_uid: Which DICOM series of a folder it is, if its study was found as one case.
    """

    role: CaseRole
    image: Path
    annotation: Path | None = None
    found_as: str = ""
    kept: tuple[KeptAnswer, ...] = ()
    channel: str = ""
    further: tuple[NamedImage, ...] = ()
    series_uid: str | None = None


def case_rows(
    arguments: argparse.Namespace, console: Console, project: Project | None = None
) -> list[NewCase]:
    """Return all cases that the arguments name, in their order.

    Args:
        arguments: Those of `create` and `add`.
        console: Shows which files of a folder are not volumes.
        project: The project that they are added to, if there is one: what its channels are, and
            what a person answered when its cases were looked for.

    Raises:
        ProjectError: Two volumes would have the same name, or the table is wrong.
        VolumeError: A folder holds no volume, or a patient lacks a channel.
        QuestionError: A person has to say which images of a folder are meant.
        StorageError: The table cannot be read.
    """
    rows: list[NewCase] = []
    channels = arguments.channels or (() if project is None else project.channels)
    unlabelled = _unlabelled(arguments, console, project, channels)
    # a question about a folder may have been answered with all images of each patient
    channels = channels or next((_channels_of(one) for one in unlabelled if one.channel), ())
    for row in read_case_table(Path(arguments.table), channels) if arguments.table else ():
        _add_row(rows, row)
    named = [
        _with_channels(_Named(role, Path(image), Path(segmentation)), channels)
        for role in (CaseRole.ANNOTATED, CaseRole.VALIDATION)
        for image, segmentation in getattr(arguments, role.value)
    ]
    # a folder of volumes may hold those named above, and their segmentations
    told = [Path(file) for row in rows for file in (row.image, row.annotation) if file]
    told += [file for one in named for file in (one.image, one.annotation) if file]
    taken = {file.absolute() for file in told}
    named += [one for one in unlabelled if one.image.absolute() not in taken]
    for one, case_id in zip(named, _case_ids(named), strict=True):
        annotation = None if one.annotation is None else str(one.annotation)
        new = NewCase(
            case_id,
            one.role,
            str(one.image),
            one.series_uid,
            annotation=annotation,
            kept=one.kept,
            channel=one.channel,
            further_images=one.further,
        )
        _add_row(rows, new)
    how = {"copy_image": arguments.copy_images, "answers": tuple(arguments.answers)}
    return [replace(row, **how) for row in rows]


def _with_channels(named: _Named, channels: Sequence[str]) -> _Named:
    """Return a volume with the other images of its patient, which lie beside it.

    Raises:
        VolumeError: Its name says no channel, or a channel is missing.
    """
    if len(channels) < 2:
        return replace(named, channel=channels[0] if channels else "")
    patient = patient_of(named.image, channels)
    return replace(
        named,
        image=patient.files[channels[0]],
        found_as=fit_name(patient.name),
        channel=channels[0],
        further=patient.further(channels),
    )


def _channels_of(named: _Named) -> tuple[str, ...]:
    return (named.channel, *(image.channel for image in named.further))


def _case_ids(named: Sequence[_Named]) -> list[str]:
    """Return the names of the cases: those of the files, or where none tells, of their folders."""
    paths = [
        one.image if one.image.name not in ("", "..") else one.image.resolve() for one in named
    ]
    if len(paths) > 1 and are_called_the_same(paths):
        names = names_of(paths)
    else:
        names = [one.found_as or names_of([p])[0] for one, p in zip(named, paths, strict=True)]
    return [
        case_id_from_path(path) if name == stem_of(path) and not one.found_as else fit_name(name)
        for one, path, name in zip(named, paths, names, strict=True)
    ]


def _add_row(rows: list[NewCase], row: NewCase) -> None:
    for known in rows:
        if known.case_id.casefold() == row.case_id.casefold():
            raise ProjectError(
                Text(
                    "Two volumes would both be called '{case}': '{image1}' and '{image2}'.",
                    case=row.case_id,
                    image1=known.image,
                    image2=row.image,
                ),
                Text("Rename one of them, or name the cases in a table (column id)."),
            )
    rows.append(row)


def _unlabelled(
    arguments: argparse.Namespace,
    console: Console,
    project: Project | None,
    channels: Sequence[str],
) -> list[_Named]:
    """Return the volumes that are named as unlabelled, and those in folders that are."""
    paths = [Path(text) for text in arguments.unlabelled]
    folders = [path for path in paths if path.is_dir()]
    files = [path for path in paths if not path.is_dir()]
    labels = _label_maps_among(files, console)
    found: list[_Named] = []
    for path in paths:
        if path in folders:
            found += _found_in(path, arguments, console, project, channels)
        elif path not in labels:
            found.append(_with_channels(_Named(CaseRole.UNLABELLED, path), channels))
    if len(channels) < 2:
        return found
    # all images of a patient may have been named, as by p1_*.nii.gz
    return list({one.image.absolute(): one for one in reversed(found)}.values())[::-1]


def _label_maps_among(files: Sequence[Path], console: Console) -> set[Path]:
    """Return the files that are, by their names, segmentations of others among them."""
    labels = {file for _, file in pair_segmentations(files).volumes if file is not None}
    if labels:
        console.warn(
            f"{with_noun(len(labels), 'file')}, such as '{min(labels)}', would be segmentations of "
            "other volumes named here, and are not used as training images."
        )
    return labels


def _found_in(
    folder: Path,
    arguments: argparse.Namespace,
    console: Console,
    project: Project | None,
    channels: Sequence[str],
) -> list[_Named]:
    """Return the volumes in a folder and below it, by the rules that the panel follows too."""
    kept = () if project is None else kept_answers(project.cases)
    found = find_volumes(folder, (), answers=arguments.answers, kept=kept, channels=channels)
    _tell(found.problems, console, any_volume=bool(found.volumes))
    for volume in found.volumes:
        _require_channels(volume, channels or _all_channels(found.volumes))
    labels = [volume.annotation for volume in found.volumes if volume.annotation]
    if labels:
        console.say(
            f"In '{folder}', {with_noun(len(labels), 'file')}, such as '{Path(labels[0]).name}', "
            "would be segmentations of volumes there, and are not used as training images."
        )
    # of a folder with several series, reading it says which there are
    series = Counter(volume.image for volume in found.volumes)
    names = {
        v.image: v.case_id if series[v.image] == 1 else Path(v.image).resolve().name
        for v in found.volumes
    }
    by_image = {volume.image: volume for volume in found.volumes}
    return [
        _Named(
            CaseRole.UNLABELLED,
            Path(image),
            found_as=name,
            kept=by_image[image].kept,
            channel=by_image[image].channel,
            further=by_image[image].further_images,
            series_uid=by_image[image].series_uid if by_image[image].further_images else None,
        )
        for image, name in names.items()
    ]


def _all_channels(volumes: Sequence[FoundVolume]) -> tuple[str, ...]:
    names = (name for v in volumes for name in (v.channel, *(i.channel for i in v.further_images)))
    return tuple(dict.fromkeys(name for name in names if name))


def _require_channels(volume: FoundVolume, channels: Sequence[str]) -> None:
    """Refuse a patient who lacks an image.

    Raises:
        VolumeError: One is missing.
    """
    found = {image.channel: Path(image.image) for image in volume.further_images}
    first = {channels[0]: Path(volume.image)} if channels else {}
    require_all(PatientImages(volume.case_id, first | found), channels)


def _tell(problems: Sequence[Problem], console: Console, *, any_volume: bool) -> None:
    for problem in problems:
        if problem.question is not None:
            raise QuestionError(problem.question)
    for problem in problems:
        if problem.is_error and not any_volume:
            raise VolumeError(problem.message, problem.remedy)
        console.warn(f"{problem.message} {problem.remedy}".strip())
