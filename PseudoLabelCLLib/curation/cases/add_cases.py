"""Adding a volume, with or without a segmentation, to a project."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from PseudoLabelCLLib.curation.cases.further_images import (
    read_further_images,
    with_channels_of,
    write_copies,
)
from PseudoLabelCLLib.curation.check.drawn_slices import ask_about_drawn_slices
from PseudoLabelCLLib.curation.check.image_checks import check_image
from PseudoLabelCLLib.curation.export.dicom_frame_check import check_frame_of_reference
from PseudoLabelCLLib.curation.export.dicom_series_of_case import remember_series
from PseudoLabelCLLib.curation.find.label_map_look import ask_about_label_map
from PseudoLabelCLLib.curation.grids.image_place import places_of, settled_place
from PseudoLabelCLLib.curation.grids.match_grid import matched_to_grid, matches_by_cropping
from PseudoLabelCLLib.curation.review.history import keep_in_history
from PseudoLabelCLLib.domain.case import Case, CaseRole, NewCase, check_case_id
from PseudoLabelCLLib.domain.errors import AnnotationError, ProjectError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.segmentation import BACKGROUND_VALUE, LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.storage.dicom.mark import looks_like_dicom
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import save_cases
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.segments.label_values import ask_about_background, count_values
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume


def add_case(
    root: Path,
    project: Project,
    new: NewCase,
    *,
    replace: bool = False,
    asking: Asking | None = None,
) -> tuple[Project, tuple[Text, ...]]:
    """Check a volume and its segmentation, store the segmentation, and save the project.

    Nothing on disk changes if a check fails.

    Args:
        root: The project folder.
        project: The project as it is now.
        new: What is added; a segmentation on another grid is resampled by position.
        replace: Whether a case of this name may be replaced; its segmentation stays in
            `annotations/history/`.
        asking: Asks the person about what could be wrong; by default with the answers of `new`.

    Returns:
        The project with the case, and what a person should know.

    Raises:
        ProjectError: The name is taken or unfit, or the role needs a segmentation.
        VolumeError: The image cannot be read or is unfit.
        AnnotationError: The segmentation does not fit image or labels.
        QuestionError: A person has to say what is meant.
        StorageError: The disk refuses.
    """
    asking = asking or Asking(new.case_id, new.answers, list(new.kept))
    asking.labels_can_grow = not project.rounds
    asking.is_first = all(case.annotation is None for case in project.cases)
    project = with_channels_of(project, new)
    known = _replaceable_case(project, new.case_id, replace=replace)
    case_id = new.case_id if known is None else known.id
    image, annotation = Path(new.image), Path(new.annotation) if new.annotation else None
    _check_name_and_role(case_id, new.role, annotation)
    layout = ProjectLayout(root)
    layout.choose(image)
    near, told = settled_place(image, asking, annotation)
    volume = read_volume(image, new.series_uid, near)
    axis = _checked_axis(project, case_id, volume, new.role)
    _check_reviews_still_fit(project, known, volume.geometry)
    labels, schema, notices = _read_checked_annotation(
        annotation, image, volume, project.schema, asking
    )
    if annotation is not None:
        notices += check_frame_of_reference(annotation, image, new.series_uid)
    drawn = _drawn_slices(labels, volume, axis, case_id=case_id, role=new.role, asking=asking)
    further, images, more = read_further_images(layout, project, new, volume, asking)
    ask_about_label_map(volume, image.name, asking)
    case = Case(
        id=case_id,
        role=new.role,
        image=layout.relative(layout.volume_copy(case_id) if new.copy_image else image),
        geometry=volume.geometry,
        annotation=None if labels is None else layout.relative(layout.annotation(case_id)),
        dicom_series_uid=None if new.copy_image else new.series_uid,
        answers=tuple(asking.used),
        drawn_slices=drawn,
        further_images=further,
    )
    changed = _settled_if(_with_labels(project, schema).with_case(case), drawn)
    if new.copy_image:
        write_volume(layout.volume_copy(case_id), volume)
    write_copies(layout, new, images, case_id=case_id)
    if labels is not None:
        _store_annotation(layout, layout.annotation(case_id), labels, schema)
    notices += remember_series(root, case_id, image, new.series_uid)
    save_cases(root, changed)
    return changed, (*told, *notices, *more)


def case_to_annotate(
    root: Path, project: Project, case_id: str, image: Path, series_uid: str | None = None
) -> Case | None:
    """Return the case without a segmentation that has this very volume, or None.

    It is known by its path; where the project has a copy of it, by its name and its voxels.

    Raises:
        VolumeError: One of two volumes of that name cannot be read.
    """
    layout = ProjectLayout(root)
    path = layout.choose(image)
    waiting = [case for case in project.cases if case.annotation is None]
    for case in waiting:
        if layout.resolve(case.image) == path and case.dicom_series_uid == series_uid:
            return case
    for case in waiting:
        if case.id.casefold() == case_id.casefold():
            grid = case.geometry
            own = read_volume(layout.resolve(case.image), case.dicom_series_uid, grid)
            return case if _is_same_volume(own, read_volume(image, series_uid, grid)) else None
    return None


def annotate_case(
    root: Path,
    project: Project,
    case_id: str,
    annotation: Path,
    asking: Asking | None = None,
) -> tuple[Project, tuple[Text, ...]]:
    """Give a case a person's segmentation, which makes it annotated, and save the project.

    Name and image stay. Nothing on disk changes if a check fails.

    Returns:
        The project with the segmentation, and what a person should know.

    Raises:
        ProjectError: There is no such case, it has a segmentation, or it has a verdict already.
        VolumeError: Its image cannot be read, or is too flat to teach anything.
        AnnotationError: The segmentation does not fit image or labels.
        QuestionError: A person has to say what is meant.
        StorageError: The disk refuses.
    """
    asking = asking or Asking(case_id)
    asking.labels_can_grow = not project.rounds
    asking.is_first = all(case.annotation is None for case in project.cases)
    case = project.case(case_id)
    _check_undecided(project, case)
    layout = ProjectLayout(root)
    image = layout.resolve(case.image)
    volume = read_volume(image, case.dicom_series_uid, case.geometry)
    axis = project.slicing_axis_of(case.id)
    check_image(volume, case_id=case.id, slicing_axis=axis, role=CaseRole.ANNOTATED)
    _check_not_swapped(image, annotation, volume, project.schema)
    labels, schema, notices = read_annotation(
        annotation, case.geometry, project.schema, asking, _other_places(image)
    )
    drawn = ask_about_drawn_slices(
        labels, volume, axis, case_id=case.id, role=CaseRole.ANNOTATED, asking=asking
    )
    notices += check_frame_of_reference(annotation, image, case.dicom_series_uid)
    path = layout.annotation(case.id)
    annotated = replace(
        case, role=CaseRole.ANNOTATED, annotation=layout.relative(path), drawn_slices=drawn
    ).with_answers(asking.used)
    _store_annotation(layout, path, labels, schema)
    changed = _with_labels(project, schema).with_case(annotated)
    save_cases(root, changed)
    return changed, notices


def read_annotation(
    path: Path,
    geometry: Geometry,
    schema: LabelSchema,
    asking: Asking,
    places: tuple[Geometry, ...] = (),
) -> tuple[LabelVolume, LabelSchema, tuple[Text, ...]]:
    """Read a person's segmentation onto a volume's grid.

    Args:
        path: The file.
        geometry: The grid.
        schema: The labels of the project.
        asking: Asks the person.
        places: Other grids that the header of the volume names.

    Returns:
        The segmentation, the labels of the project with those that are new, and in words what
        had to be changed.

    Raises:
        AnnotationError: It is empty, has labels outside the schema, or lies elsewhere.
        QuestionError: A person has to say what is meant.
        VolumeError: It cannot be read.
    """
    labels, schema, notices = read_segmentation(path, schema, near=geometry, asking=asking)
    if not np.any(labels.array):
        raise AnnotationError(
            Text(
                "The segmentation '{file}' is empty: no voxel has a label value.",
                file=path.name,
            ),
            Text("Segment at least one structure, or add the case as 'unlabelled'."),
        )
    matched, more = matched_to_grid(
        labels, geometry, file_name=path.name, asking=asking, places=places
    )
    if looks_like_dicom(path) and matches_by_cropping(labels.geometry, geometry):
        more = more[1:]  # objects leave out slices that no segment touches: no other grid
    if np.all(matched.array):
        ask_about_background(path.name, count_values(matched.array), matched.array.size, (), asking)
    return replace(matched, statuses=labels.statuses), schema, (*notices, *more)


def _other_places(image: Path) -> tuple[Geometry, ...]:
    places = places_of(image)
    return () if places is None else places.all


def _checked_axis(project: Project, case_id: str, volume: Volume, role: CaseRole) -> int:
    """Return along which axis a volume is cut once it is a case: it has a say in the plane.

    Raises:
        VolumeError: No network can learn from it.
    """
    geometry, joined = volume.geometry, project
    if not project.rounds:
        joined = project.with_case(Case(case_id, CaseRole.UNLABELLED, "", geometry))
    axis = joined.preprocess.slicing_axis_of(geometry)
    check_image(volume, case_id=case_id, slicing_axis=axis, role=role)
    return axis


def _settled_if(project: Project, drawn: tuple[int, ...] | None) -> Project:
    """Return the project, its plane settled if slices are counted in it."""
    return project if drawn is None else project.with_plane_settled()


def _with_labels(project: Project, schema: LabelSchema) -> Project:
    return project if schema == project.schema else replace(project, schema=schema)


def _replaceable_case(project: Project, case_id: str, *, replace: bool) -> Case | None:
    known = next((c for c in project.cases if c.id.casefold() == case_id.casefold()), None)
    if known is not None and not replace:
        raise ProjectError(
            Text(
                "There is a case '{case}' in the project already ({role}).",
                case=known.id,
                role=known.role.word,
            ),
            Text(
                "Give the new one another name (in a table: the column id), or replace that case."
            ),
        )
    return known


def _is_same_volume(one: Volume, other: Volume) -> bool:
    return one.geometry.is_close_to(other.geometry) and np.array_equal(one.array, other.array)


def _check_undecided(project: Project, case: Case) -> None:
    if case.annotation is not None:
        raise ProjectError(
            Text(
                "Case '{case}' has a person's segmentation already ({role}).",
                case=case.id,
                role=case.role.word,
            ),
            Text("Add the volume under another name if both should count."),
        )
    reviews = project.reviews_of(case.id)
    if reviews:
        last = reviews[-1]
        raise ProjectError(
            Text(
                "Case '{case}' has a verdict already ({verdict} in round {index}).",
                case=case.id,
                verdict=last.verdict.word,
                index=last.round_index,
            ),
            Text("Submit the segmentation as a correction of its next proposal, for every slice."),
        )


def _check_name_and_role(case_id: str, role: CaseRole, annotation: Path | None) -> None:
    check_case_id(case_id)
    if role.needs_annotation and annotation is None:
        raise ProjectError(
            Text(
                "Case '{case}' is meant to be {role} but has no segmentation.",
                case=case_id,
                role=role.word,
            ),
            Text("Give it a segmentation, or make it 'unlabelled'."),
        )


def _check_reviews_still_fit(project: Project, known: Case | None, geometry: Geometry) -> None:
    if known is None:
        return
    if project.reviews_of(known.id) and not geometry.is_close_to(known.geometry):
        raise ProjectError(
            Text(
                "Case '{case}' has reviewed pseudo-labels on a grid of {expected}; the new "
                "image has {found}.",
                case=known.id,
                expected=known.geometry.describe(),
                found=geometry.describe(),
            ),
            Text("Add the new image under another name."),
        )


def _read_checked_annotation(
    annotation: Path | None, image: Path, volume: Volume, schema: LabelSchema, asking: Asking
) -> tuple[LabelVolume | None, LabelSchema, tuple[Text, ...]]:
    if annotation is None:
        return None, schema, ()
    _check_not_swapped(image, annotation, volume, schema)
    return read_annotation(annotation, volume.geometry, schema, asking, _other_places(image))


def _drawn_slices(
    labels: LabelVolume | None,
    volume: Volume,
    axis: int,
    *,
    case_id: str,
    role: CaseRole,
    asking: Asking,
) -> tuple[int, ...] | None:
    if labels is None or not role.needs_annotation:
        return None
    return ask_about_drawn_slices(labels, volume, axis, case_id=case_id, role=role, asking=asking)


def _check_not_swapped(image: Path, annotation: Path, volume: Volume, schema: LabelSchema) -> None:
    """Refuse one file given as both, and an image that holds nothing but label values."""
    if image.resolve() == annotation.resolve():
        raise AnnotationError(
            Text(
                "'{image}' is given both as the image and as its segmentation.",
                image=image.name,
            ),
            Text("Choose the segmentation file."),
        )
    values = {BACKGROUND_VALUE, *schema.values}
    if np.isin(volume.array, list(values)).all():
        raise VolumeError(
            Text(
                "The image '{image}' holds label values only ({values}); are the image and "
                "its segmentation '{annotation}' swapped?",
                image=image.name,
                values=", ".join(f"{v:g}" for v in np.unique(volume.array)),
                annotation=annotation.name,
            ),
            Text("Give the image first and the segmentation second."),
        )


def _store_annotation(
    layout: ProjectLayout, path: Path, labels: LabelVolume, schema: LabelSchema
) -> None:
    if path.exists():
        keep_in_history(layout, path)
    write_segmentation(path, labels, schema)
