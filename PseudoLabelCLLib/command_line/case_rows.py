"""The cases that the arguments of `create` and `add` name: files, folders of volumes, a table."""

import argparse
from pathlib import Path

from PseudoLabelCLLib.curation.case_table import (
    CaseRow,
    case_id_from_path,
    is_volume_file,
    read_case_table,
)
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.errors import ProjectError


def case_rows(arguments: argparse.Namespace) -> list[CaseRow]:
    """Return all cases that the arguments name, in their order.

    Raises:
        ProjectError: Two volumes would have the same name, or the table is wrong.
        StorageError: The table cannot be read.
    """
    rows: list[CaseRow] = []
    for row in read_case_table(Path(arguments.table)) if arguments.table else ():
        _add_row(rows, row)
    for role in (CaseRole.ANNOTATED, CaseRole.VALIDATION):
        for image, segmentation in getattr(arguments, role.value):
            path = Path(image)
            _add_row(rows, CaseRow(case_id_from_path(path), role, path, Path(segmentation), None))
    # a folder of volumes may hold those named above, and their segmentations
    taken = {file.absolute() for row in rows for file in (row.image, row.annotation) if file}
    for text in arguments.unlabelled:
        for path in _volumes_in(Path(text)):
            if path.absolute() not in taken:
                unlabelled = CaseRow(case_id_from_path(path), CaseRole.UNLABELLED, path, None, None)
                _add_row(rows, unlabelled)
    return rows


def _add_row(rows: list[CaseRow], row: CaseRow) -> None:
    for known in rows:
        if known.case_id.casefold() == row.case_id.casefold():
            raise ProjectError(
                f"Two volumes would both be called '{row.case_id}': '{known.image}' and "
                f"'{row.image}'.",
                "Rename one of them, or name the cases in a table (column id).",
            )
    rows.append(row)


def _volumes_in(path: Path) -> list[Path]:
    """The file itself, the DICOM folder itself, or the volume files in a folder."""
    if not path.is_dir():
        return [path]
    files = sorted(
        file
        for file in path.iterdir()
        if is_volume_file(file) and not file.name.lower().endswith(".seg.nrrd")
    )
    return files or [path]
