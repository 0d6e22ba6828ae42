"""Label schemas in files of their own, and schemas read off a segmentation."""

from pathlib import Path

from PseudoLabelCLLib.curation.grids.stored_files import read_segments
from PseudoLabelCLLib.domain.errors import ProjectDamagedError, ProjectNewerError
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.storage.dicom.mark import looks_like_dicom
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, read_json, write_json
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.segments.slicer_segments import schema_of

_SCHEMA_VERSION = 1


def schema_from_annotation(path: Path, asking: Asking | None = None) -> LabelSchema:
    """Return the structures that a segmentation file names, or bare ones for its values.

    Args:
        path: The file.
        asking: Asks the person about what could be wrong, or None.

    Raises:
        QuestionError: A person has to say what is meant.
        AnnotationError: It holds no labels, or is not a segmentation.
        VolumeError: It cannot be read.
    """
    if looks_like_dicom(path):
        from PseudoLabelCLLib.storage.dicom.structure_set import (  # noqa: PLC0415 - loads slowly
            is_structure_set,
            read_structure_set,
        )

        if is_structure_set(path):
            return schema_of(read_structure_set(path).segments)
        return read_segmentation(path, None)[1]
    segments = read_segments(path)
    return schema_of(segments) if segments else read_segmentation(path, None, asking=asking)[1]


def read_label_schema(path: Path) -> LabelSchema:
    """Read a label schema from JSON.

    Raises:
        ProjectDamagedError: It is not what `write_label_schema` writes.
        ProjectNewerError: A newer version of the program wrote it.
        StorageError: It cannot be read.
    """
    value = read_json(path)
    version = value.pop("schema_version", None) if isinstance(value, dict) else None
    if isinstance(version, bool) or not isinstance(version, int):
        raise ProjectDamagedError(
            Text(
                "'{file}' is not a list of structures: it has no schema_version.",
                file=path.name,
            ),
            Text("Choose a file that defines the structures of a project."),
        )
    if version > _SCHEMA_VERSION:
        raise ProjectNewerError(
            Text(
                "A newer version of PseudoLabelCL wrote '{file}' (schema {version}).",
                file=path.name,
                version=version,
            ),
            Text("Update PseudoLabelCL."),
        )
    return from_json(LabelSchema, value, path.name)


def write_label_schema(path: Path, schema: LabelSchema) -> None:
    """Write a label schema as JSON that a person can edit.

    Raises:
        StorageError: The disk refuses.
    """
    body = to_json(schema)
    if not isinstance(body, dict):
        raise TypeError(f"Expected a LabelSchema, got {schema!r}")
    make_folder(path.parent)
    write_json(path, {"schema_version": _SCHEMA_VERSION, **body})
