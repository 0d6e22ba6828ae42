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
from PseudoLabelCLLib.curation.find.file_names import stem_of
from PseudoLabelCLLib.curation.find.find_volumes import find_volumes
from PseudoLabelCLLib.curation.find.segmentation_pairs import pair_segmentations
from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.errors import ProjectError, VolumeError
from PseudoLabelCLLib.domain.question import KeptAnswer, QuestionError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import Problem


@dataclass(frozen=True)
class _Named:
    """A volume that the arguments name, or that lies in a folder that they name.

    Args:
        role: What it is used for.
        image: The file, or a folder of slices.
        annotation: Its segmentation, or None.
        found_as: What it is called where it was found in a folder, or empty.
        kept: What a person answered when it was found.
    """

    role: CaseRole
    image: Path
    annotation: Path | None = None
    found_as: str = ""
    kept: tuple[KeptAnswer, ...] = ()


def case_rows(
    arguments: argparse.Namespace, console: Console, kept: Sequence[KeptAnswer] = ()
) -> list[NewCase]:
    """Return all cases that the arguments name, in their order.

    Args:
        arguments: Those of `create` and `add`.
        console: Shows which files of a folder are not volumes.
        kept: What a person answered when the cases of the project were looked for.

    Raises:
        ProjectError: Two volumes would have the same name, or the table is wrong.
        VolumeError: A folder holds no volume.
        QuestionError: A person has to say which images of a folder are meant.
        StorageError: The table cannot be read.
    """
    rows: list[NewCase] = []
    for row in read_case_table(Path(arguments.table)) if arguments.table else ():
        _add_row(rows, row)
    named = [
        _Named(role, Path(image), Path(segmentation))
        for role in (CaseRole.ANNOTATED, CaseRole.VALIDATION)
        for image, segmentation in getattr(arguments, role.value)
    ]
    # a folder of volumes may hold those named above, and their segmentations
    told = [Path(file) for row in rows for file in (row.image, row.annotation) if file]
    told += [file for one in named for file in (one.image, one.annotation) if file]
    taken = {file.absolute() for file in told}
    unlabelled = _unlabelled(arguments, console, kept)
    named += [one for one in unlabelled if one.image.absolute() not in taken]
    for one, case_id in zip(named, _case_ids(named), strict=True):
        annotation = None if one.annotation is None else str(one.annotation)
        new = NewCase(case_id, one.role, str(one.image), annotation=annotation, kept=one.kept)
        _add_row(rows, new)
    how = {"copy_image": arguments.copy_images, "answers": tuple(arguments.answers)}
    return [replace(row, **how) for row in rows]


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
    arguments: argparse.Namespace, console: Console, kept: Sequence[KeptAnswer]
) -> list[_Named]:
    """Return the volumes that are named as unlabelled, and those in folders that are."""
    paths = [Path(text) for text in arguments.unlabelled]
    folders = [path for path in paths if path.is_dir()]
    files = [path for path in paths if not path.is_dir()]
    labels = _label_maps_among(files, console)
    found: list[_Named] = []
    for path in paths:
        if path in folders:
            found += _found_in(path, arguments, console, kept)
        elif path not in labels:
            found.append(_Named(CaseRole.UNLABELLED, path))
    return found


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
    folder: Path, arguments: argparse.Namespace, console: Console, kept: Sequence[KeptAnswer]
) -> list[_Named]:
    """Return the volumes in a folder and below it, by the rules that the panel follows too."""
    found = find_volumes(folder, (), answers=arguments.answers, kept=kept)
    _tell(found.problems, console, any_volume=bool(found.volumes))
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
    answers = {volume.image: volume.kept for volume in found.volumes}
    return [
        _Named(CaseRole.UNLABELLED, Path(image), found_as=name, kept=answers[image])
        for image, name in names.items()
    ]


def _tell(problems: Sequence[Problem], console: Console, *, any_volume: bool) -> None:
    for problem in problems:
        if problem.question is not None:
            raise QuestionError(problem.question)
    for problem in problems:
        if problem.is_error and not any_volume:
            raise VolumeError(problem.message, problem.remedy)
        console.warn(f"{problem.message} {problem.remedy}".strip())
