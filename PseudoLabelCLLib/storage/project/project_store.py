"""Reading and writing a project folder; user interface and worker each write files of their own."""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.config import ProjectConfig
from PseudoLabelCLLib.domain.errors import (
    ProjectDamagedError,
    ProjectError,
    ProjectNewerError,
)
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Review
from PseudoLabelCLLib.domain.round import Round
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.starting_model import StartingModel
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json, to_json
from PseudoLabelCLLib.storage.files.atomic_files import (
    TEMPORARY_PREFIX,
    make_folder,
    read_json,
    storage_error,
    write_json,
)
from PseudoLabelCLLib.storage.project.kept_versions import keep_earlier_version
from PseudoLabelCLLib.storage.project.project_layout import (
    ProjectLayout,
    is_outside,
    round_index,
    round_name,
)
from PseudoLabelCLLib.storage.project.provenance import (
    Foreign,
    is_own_project,
    is_own_verdict,
    origin_of_project,
)

# Raised with every field that is added to a file of the project, see Docs/project-folder.md.
SCHEMA_VERSION = 6
T = TypeVar("T")

# What may lie in a folder that becomes a project: locks taken first, traces of file browsers.
_HARMLESS_NAMES = (
    "desk.lock", "desk.lock.claim", "worker.lock", ".DS_Store", "Thumbs.db", "desktop.ini",
)  # fmt: skip


@dataclass(frozen=True)
class _ProjectFile:
    """What project.json holds, besides the schema version."""

    name: str
    schema: LabelSchema
    config: ProjectConfig
    cases: tuple[Case, ...]
    origin: str = ""
    channels: tuple[str, ...] = ()
    start: StartingModel | None = None


def create_project(root: Path, project: Project) -> None:
    """Make the folder of a new project.

    Raises:
        ProjectError: There is a project already, or other files, or a file in the folder's place.
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    try:
        if root.exists() and not root.is_dir():
            raise ProjectError(
                Text("'{root}' is a file; a project is a folder.", root=root),
                Text("Choose another name."),
            )
        if layout.project_file.exists():
            raise ProjectError(
                Text("There is a project in '{root}' already.", root=root),
                Text("Open it, or choose another folder."),
            )
        foreign = sorted(p.name for p in _entries(root) if p.name not in _HARMLESS_NAMES)
    except OSError as error:
        raise storage_error(root, error, action="read") from error
    if foreign:
        shown = ", ".join(foreign[:3])
        raise ProjectError(
            Text(
                "The folder '{root}' holds other files ({files}{more}).",
                root=root,
                files=shown,
                more=", ..." if foreign[3:] else "",
            ),
            Text("Choose a new or empty folder for the project."),
        )
    make_folder(root)
    for round_ in project.rounds:
        save_round(root, round_)
    for review in project.reviews:
        save_review(root, review)
    _write(layout.project_file, _project_file_of(project))


def load_project(root: Path) -> Project:
    """Read a project: project.json, the rounds, and the reviews.

    Raises:
        ProjectError: There is no project, or a file where a folder belongs.
        ProjectNewerError: A newer version of the program wrote it.
        ProjectDamagedError: A file is not what was written there.
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    require_project(root)
    file = _read(_ProjectFile, layout.project_file, root)
    for case in file.cases:
        if case.annotation is not None:
            layout.own(case.annotation)
    rounds = tuple(_load_rounds(layout))
    reviews = load_reviews(root)
    try:
        return Project(
            name=file.name,
            schema=file.schema,
            config=file.config,
            cases=file.cases,
            rounds=rounds,
            reviews=reviews,
            channels=file.channels,
            start=file.start,
        )
    except ProjectError as error:
        raise ProjectDamagedError(
            Text(
                "The files of the project '{root}' contradict each other: {reason}",
                root=root,
                reason=error.message,
            ),
            error.remedy or Text("Restore the project from a backup."),
        ) from error


def save_cases(root: Path, project: Project) -> None:
    """Write project.json: name, label schema, settings and cases, no rounds and no reviews.

    Raises:
        ProjectError: There is no project.
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    require_project(root)
    _keep_if_older(layout)
    _write(layout.project_file, _project_file_of(project))


def save_round(root: Path, round_: Round) -> None:
    """Write the state of a round.

    Raises:
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    _make_folder_in_project(layout.rounds)
    _write(layout.round_file(round_.index), round_)


def load_round(root: Path, index: int) -> Round:
    """Read the state of a round.

    Raises:
        ProjectDamagedError: It is not what was written there.
        StorageError: It cannot be read.
    """
    layout = ProjectLayout(root)
    return _read(Round, layout.round_file(index), root)


def load_reviews(root: Path) -> tuple[Review, ...]:
    """Read every verdict that stands.

    Raises:
        ProjectDamagedError: One is not what was written there.
        StorageError: It cannot be read.
    """
    return tuple(_load_reviews(ProjectLayout(root)))


def load_review(root: Path, round_index: int, case_id: str) -> Review | None:
    """Read the verdict that stands on a proposal, or return None.

    Raises:
        ProjectDamagedError: It is not what was written there.
        StorageError: It cannot be read.
    """
    layout = ProjectLayout(root)
    path = layout.review(round_index, case_id)
    return read_review(layout, path, case_id, round_index) if path.exists() else None


def save_review(root: Path, review: Review) -> None:
    """Write one verdict; it replaces one on the same proposal.

    Raises:
        ProjectDamagedError: project.json is not what was written there.
        StorageError: The disk refuses.
    """
    make_review_folder(root, review.round_index)
    _raise_version(ProjectLayout(root))
    _write(ProjectLayout(root).review(review.round_index, review.case_id), review)


def make_review_folder(root: Path, round_index: int) -> None:
    """Make the folder with the verdicts on a round's proposals, in a project that is there.

    Raises:
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    for folder in (layout.reviews, layout.review_folder(round_index)):
        _make_folder_in_project(folder)


def read_review(layout: ProjectLayout, path: Path, case_id: str, round_index: int) -> Review:
    """Read a verdict, one that stands or one of the history.

    Args:
        layout: Of the project.
        path: Where it lies in the project.
        case_id: Whose it must be.
        round_index: Of which round it must be.

    Raises:
        ProjectDamagedError: It is not what was written there, belongs to another case or round, or
            names a file that does not belong to it.
        StorageError: It cannot be read.
    """
    review = _read(Review, layout.checked(path), layout.root)
    if review.round_index != round_index or not _is_named(review.case_id, case_id):
        found = Text(
            "the review of case '{case}', round {index}",
            case=review.case_id,
            index=review.round_index,
        )
        raise _misplaced(path, layout.root, found)
    folder = f"reviews/{round_name(round_index)}/"
    for file in review.files:
        name = file.rpartition("/")[2]
        if is_outside(file) or not file.startswith(folder) or not _belongs_to(name, case_id):
            raise ProjectDamagedError(
                Text(
                    "{path} names {file!r}, which is not a file of this verdict.",
                    path=path.relative_to(layout.root).as_posix(),
                    file=file,
                ),
                Text("Restore the project from a backup, or get it again from where it came."),
            )
    return review


def _belongs_to(name: str, case_id: str) -> bool:
    return _normal(name).casefold().startswith(f"{_normal(case_id).casefold()}.")


def _is_named(found: str, expected: str) -> bool:
    return _normal(found) == _normal(expected)


def _project_file_of(project: Project) -> _ProjectFile:
    file = _ProjectFile(
        project.name, project.schema, project.config, project.cases,
        channels=project.channels, start=project.start,
    )  # fmt: skip
    return replace(file, origin=origin_of_project(to_json(file)))


def foreign_parts(root: Path, project: Project) -> Foreign:
    """Return what of a project was not made on this computer.

    Raises:
        ProjectDamagedError: project.json is not what was written there.
        StorageError: It cannot be read.
    """
    file = _read(_ProjectFile, ProjectLayout(root).project_file, root)
    others = [review for review in project.reviews if not is_own_verdict(review)]
    return Foreign(
        not is_own_project(to_json(replace(file, origin="")), file.origin),
        tuple((review.case_id, review.round_index) for review in others),
        tuple(sorted({review.author for review in others})),
    )


def require_project(root: Path) -> None:
    """Make sure that a folder holds a project, without reading it.

    Raises:
        ProjectError: There is no project, or a file where a folder belongs.
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    try:
        if not root.exists():
            raise ProjectError(
                Text("The folder '{root}' was not found.", root=root), Text("Check the path.")
            )
        if not root.is_dir():
            raise ProjectError(
                Text("'{root}' is a file; a project is a folder.", root=root),
                Text("Give the project's folder."),
            )
        if not layout.project_file.is_file():
            raise ProjectError(
                Text("'{root}' is not a project folder: it has no file project.json.", root=root),
                Text("Check the path, or create a project there."),
            )
    except OSError as error:
        raise storage_error(root, error, action="read") from error


def _load_rounds(layout: ProjectLayout) -> Iterator[Round]:
    found = (round_index(folder.name) for folder in _entries(layout.rounds))
    for index in sorted({index for index in found if index is not None}):
        path = layout.round_file(index)
        if not path.exists():  # killed before the round's first state was written
            continue
        round_ = _read(Round, path, layout.root)
        if round_.index != index:
            raise _misplaced(path, layout.root, Text("round {index}", index=round_.index))
        yield round_


def _load_reviews(layout: ProjectLayout) -> Iterator[Review]:
    for folder in sorted(_entries(layout.reviews)):
        index = round_index(folder.name)
        if index is None:
            continue
        for path in sorted(_entries(layout.checked(folder))):
            if path.suffix == ".json":
                yield read_review(layout, path, path.stem, index)


def _entries(folder: Path) -> tuple[Path, ...]:
    """Return what lies in a folder, without half-written and hidden metadata files."""
    if not folder.exists():
        return ()
    if not folder.is_dir():
        raise ProjectDamagedError(
            Text("'{folder}' is a file; expected a folder of the project.", folder=folder),
            Text("Move that file away."),
        )
    try:
        return tuple(
            entry
            for entry in folder.iterdir()
            if not entry.name.startswith((TEMPORARY_PREFIX, "._"))
        )
    except OSError as error:
        raise storage_error(folder, error, action="read") from error


def _normal(name: str) -> str:
    # macOS may hand back a name with its accents taken apart.
    return unicodedata.normalize("NFC", name)


def _misplaced(path: Path, root: Path, found: Text) -> ProjectDamagedError:
    return ProjectDamagedError(
        Text(
            "{path} holds {found}, which does not belong there.",
            path=path.relative_to(root).as_posix(),
            found=found,
        ),
        Text("Move the file back to its place, or restore the project from a backup."),
    )


def _make_folder_in_project(folder: Path) -> None:
    """Make a folder whose parent must be there, so that a deleted project stays deleted."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error


def _write(path: Path, value: object) -> None:
    body = to_json(value)
    if not isinstance(body, dict):
        raise TypeError(f"Expected a dataclass, got {value!r}")
    write_json(path, {"schema_version": SCHEMA_VERSION, **body})


def _raise_version(layout: ProjectLayout) -> None:
    """Give project.json of an older version the present one, its contents migrated.

    An older program reads that file first, and says then that a newer one is needed.
    """
    where = layout.project_file.name
    if not layout.project_file.exists():  # the project is being made
        return
    value = _keep_if_older(layout)
    if value is not None:
        body = _without_version(value, where)
        write_json(layout.project_file, {"schema_version": SCHEMA_VERSION, **body})


def _keep_if_older(layout: ProjectLayout) -> JsonValue:
    """Return project.json of an older version, of which a copy is kept; None if it is of this."""
    where = layout.project_file.name
    value = read_json(layout.project_file, where)
    version = _version_of(value, where)
    if version >= SCHEMA_VERSION:
        return None
    keep_earlier_version(layout, version)
    return value


def _read(type_: type[T], path: Path, root: Path) -> T:
    where = path.relative_to(root).as_posix()
    value = read_json(path, where)
    return from_json(type_, _without_version(value, where), where)


def _without_version(value: JsonValue, where: str) -> dict[str, JsonValue]:
    """Return the fields of a file as the present version has them."""
    version = _version_of(value, where)
    if not isinstance(value, dict):
        raise TypeError(f"Expected an object, got {value!r}")
    fields = {name: item for name, item in value.items() if name != "schema_version"}
    for older in range(version, SCHEMA_VERSION):
        fields = _MIGRATIONS[older](fields)
    return fields


def _version_of(value: JsonValue, where: str) -> int:
    if not isinstance(value, dict):
        raise ProjectDamagedError(
            Text("{where} is damaged: expected a JSON object.", where=where),
            Text("Restore it from a backup."),
        )
    version = value.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ProjectDamagedError(
            Text(
                "{where} has no valid schema_version (found {version!r}).",
                where=where,
                version=version,
            ),
            Text("Restore it from a backup."),
        )
    if version > SCHEMA_VERSION:
        raise ProjectNewerError(
            Text(
                "A newer version of PseudoLabelCL wrote {where} (schema {version}; this "
                "version knows {known}).",
                where=where,
                version=version,
                known=SCHEMA_VERSION,
            ),
            Text("Update PseudoLabelCL, then open the project again."),
        )
    return version


def _from_1_to_2(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a file's fields of version 2, whose new fields all have defaults.

    Verdicts have `truth_mask` (none), `author` and `origin` (empty), project.json has `origin`.
    """
    return fields


def _from_2_to_3(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a file's fields of version 3, whose new fields all have defaults.

    Cases have `answers` (none) and `drawn_slices` (all count), rounds have `outside_counts` (no).
    """
    return fields


def _from_3_to_4(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a file's fields of version 4, whose new fields all have defaults.

    project.json has `channels` and cases `further_images`: none, for one unnamed image of a case.
    """
    return fields


def _from_4_to_5(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a file's fields of version 5: the settings have new ones, which all have defaults."""
    return fields


def _from_5_to_6(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a file's fields of version 6: the settings have new ones, which all have defaults."""
    return fields


# By the version that is left: the fields of any file of the project, one version further.
_MIGRATIONS: dict[int, Callable[[dict[str, JsonValue]], dict[str, JsonValue]]] = {
    1: _from_1_to_2,
    2: _from_2_to_3,
    3: _from_3_to_4,
    4: _from_4_to_5,
    5: _from_5_to_6,
}
