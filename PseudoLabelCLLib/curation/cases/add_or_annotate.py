"""Adding what a person names: a case, or the segmentation of one that waits for it."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.curation.cases.add_cases import add_case, annotate_case, case_to_annotate
from PseudoLabelCLLib.curation.cases.choose_frames import ask_about_frames
from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.file_formats import NIFTI_SUFFIXES, image_suffix
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.images.frames import Frames, frames_in, write_frame
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import save_cases


def add_or_annotate(root: Path, project: Project, new: NewCase) -> tuple[Project, tuple[Text, ...]]:
    """Add a case, or the segmentation of one that the project has as unlabelled.

    Args:
        root: The project folder.
        project: The project as it is now.
        new: What is added; a file of several volumes can become several cases.

    Returns:
        The project afterwards, and what a person should know.

    Raises:
        ProjectError: The name is taken or unfit, or the role needs a segmentation.
        VolumeError: The image cannot be read or is unfit.
        AnnotationError: The segmentation does not fit image or labels.
        QuestionError: A person has to say what is meant.
        LeftOutError: A person answered that the file takes no part.
        StorageError: The disk refuses.
    """
    asking = Asking(new.case_id, new.answers, list(new.kept))
    frames = None if new.series_uid else frames_in(Path(new.image))
    if frames is not None:
        return _add_frames(root, project, new, frames, asking)
    return _add_one(root, project, new, asking)


def _add_one(
    root: Path, project: Project, new: NewCase, asking: Asking
) -> tuple[Project, tuple[Text, ...]]:
    if new.role is CaseRole.ANNOTATED and new.annotation is not None:
        known = case_to_annotate(root, project, new.case_id, Path(new.image), new.series_uid)
        if known is not None:
            annotation = Path(new.annotation)
            project, notices = annotate_case(root, project, known.id, annotation, asking)
            told = Note.NOW_ANNOTATED.say(case=known.id)
            return project, (told, *notices)
    return add_case(root, project, new, asking=asking)


def _add_frames(
    root: Path, project: Project, new: NewCase, frames: Frames, asking: Asking
) -> tuple[Project, tuple[Text, ...]]:
    """Add the volumes of a file that a person wants, as copies; none if one of them is unfit."""
    image = Path(new.image)
    wanted = ask_about_frames(image, frames, asking, one_only=new.annotation is not None)
    layout, before, notices = ProjectLayout(root), project, list[Text]()
    new_files: list[Path] = []
    try:
        for index in wanted:
            digits = len(str(frames.number))
            end = f"_{index + 1:0{digits}d}" if len(wanted) > 1 else ""
            one = replace(new, case_id=f"{new.case_id}{end}", copy_image=True)
            new_files += files_to_come(layout, before, [one])
            with tempfile.TemporaryDirectory(prefix="pseudolabelcl-") as folder:
                one = _of_frame(one, index, frames, Path(folder))
                own = Asking(one.case_id, asking.given, list(asking.used))
                project, more = _add_one(root, project, one, own)
            if not end:
                number = {"number": index + 1, "all": frames.number}
                notices.append(Note.FRAME.say(file=image.name, **number))
            notices += more
    except BaseException:
        undo_adding(root, before, new_files)
        raise
    return project, tuple(notices)


def _of_frame(new: NewCase, index: int, frames: Frames, folder: Path) -> NewCase:
    """Return a case with one volume of its file, and with the same one of its segmentation."""
    image = write_frame(Path(new.image), index, folder)
    annotation = None if new.annotation is None else Path(new.annotation)
    labelled = None if annotation is None else frames_in(annotation)
    is_series = annotation is not None and image_suffix(annotation) in NIFTI_SUFFIXES
    if annotation is not None and is_series and labelled and labelled.number == frames.number:
        labels = folder / "labels"
        labels.mkdir()
        annotation = write_frame(annotation, index, labels)
    return replace(
        new, image=str(image), annotation=None if annotation is None else str(annotation)
    )


def files_to_come(layout: ProjectLayout, before: Project, rows: Sequence[NewCase]) -> list[Path]:
    """Return the files that adding the rows may make; none that is there already."""
    without = [case.id for case in before.cases if case.annotation is None]
    ids = [*(row.case_id for row in rows), *without]
    files = [file for id_ in ids for file in (layout.annotation(id_), layout.volume_copy(id_))]
    files += [
        layout.channel_copy(row.case_id, image.channel)
        for row in rows
        for image in row.further_images
    ]
    return [file for file in files if not file.exists()]


def undo_adding(root: Path, before: Project, new_files: Sequence[Path]) -> None:
    """Leave the project as it was before any of the rows.

    Args:
        root: The project folder.
        before: The project as it was.
        new_files: Of `files_to_come`.

    Raises:
        ProjectError: The project is no longer there.
        StorageError: The disk refuses.
    """
    save_cases(root, before)
    for file in new_files:
        file.unlink(missing_ok=True)
