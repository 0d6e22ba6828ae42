"""A table of cases in a CSV file, to add many at once."""

import csv
import io
from pathlib import Path

from PseudoLabelCLLib.domain.case import CaseRole, NewCase, check_case_id
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.file_formats import whole_suffix
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import storage_error

_REQUIRED = ("id", "role", "image")
_OPTIONAL = ("annotation", "series_uid")
_COLUMNS = Text(
    "The columns are {required} and, where needed, {optional}.",
    required=", ".join(_REQUIRED),
    optional=", ".join(_OPTIONAL),
)


def case_id_from_path(path: Path) -> str:
    """Return the name of a case for a file or folder: "patient 1.nii.gz" gives "patient 1".

    Raises:
        ProjectError: What is left cannot be a case name.
    """
    name = path.name if path.name not in ("", "..") else path.resolve().name
    case_id = name.removesuffix(whole_suffix(name)).strip()
    try:
        check_case_id(case_id)
    except ProjectError as error:
        raise ProjectError(
            Text(
                "'{path}' cannot be used to name a case. {reason}",
                path=path,
                reason=error.message,
            ),
            Text("Rename the file or folder, or name the case in a table (column id)."),
        ) from error
    return case_id


def read_case_table(path: Path) -> tuple[NewCase, ...]:
    """Read a CSV file with the columns id, role, image and optionally annotation and series_uid.

    Comma, semicolon and tab separate; an empty id is made from the image's name. Paths are taken
    from the folder of the table.

    Raises:
        ProjectError: A column is missing or unknown, a role is unknown, or a name comes twice.
        StorageError: The file cannot be read.
    """
    text = _read_text(path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=header.count)
    rows: dict[str, NewCase] = {}
    try:
        reader = csv.DictReader(io.StringIO(text.lstrip("\r\n")), delimiter=delimiter)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        _check_columns(path, reader.fieldnames)
        for line in reader:
            cells = {name: (cell or "").strip() for name, cell in line.items() if name in _KNOWN}
            if any(cells.values()):
                _add_row(rows, line, cells, path=path, number=reader.line_num)
    except csv.Error as error:
        raise ProjectError(
            Text("'{file}' is not valid CSV: {error}.", file=path.name, error=error),
            Text("Save it again."),
        ) from error
    if not rows:
        raise ProjectError(
            Text("The table '{file}' lists no case.", file=path.name),
            Text("Add a line for each case."),
        )
    return tuple(rows.values())


_KNOWN = (*_REQUIRED, *_OPTIONAL)


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error.start) from error
    if "\0" in text:  # UTF-16 without its mark, or no text at all
        raise _not_utf8(path, data.index(0))
    return text


def _not_utf8(path: Path, position: int) -> ProjectError:
    return ProjectError(
        Text(
            "The table '{file}' is not UTF-8 text (byte {position}).",
            file=path.name,
            position=position + 1,
        ),
        Text("Save it as 'CSV UTF-8'."),
    )


def _check_columns(path: Path, found: "list[str]") -> None:
    missing = [name for name in _REQUIRED if name not in found]
    unknown = [name for name in found if name and name not in _KNOWN]
    if missing:
        shown = ", ".join(found) or Text("none")
        raise ProjectError(
            Text(
                "The table '{file}' lacks the column {columns} (found: {found}).",
                file=path.name,
                columns=", ".join(missing),
                found=shown,
            ),
            _COLUMNS,
        )
    if unknown:
        raise ProjectError(
            Text(
                "The table '{file}' has the unknown column {columns}.",
                file=path.name,
                columns=", ".join(unknown),
            ),
            _COLUMNS,
        )
    twice = sorted({name for name in found if name and found.count(name) > 1})
    if twice:
        raise ProjectError(
            Text(
                "The table '{file}' has the column {columns} twice.",
                file=path.name,
                columns=", ".join(twice),
            ),
            _COLUMNS,
        )


def _add_row(
    rows: dict[str, NewCase], line: object, cells: dict[str, str], *, path: Path, number: int
) -> None:
    where = Text("Line {number} of '{file}'", number=number, file=path.name)
    if isinstance(line, dict) and line.get(None):
        raise ProjectError(
            Text("{where} has more cells than the header.", where=where),
            Text("Check its separators."),
        )
    row = _row(cells, path.parent, where)
    if row.case_id.casefold() in rows:
        raise ProjectError(
            Text("{where} names the case '{case}' a second time.", where=where, case=row.case_id),
            Text("Give each case its own name."),
        )
    rows[row.case_id.casefold()] = row


def _row(cells: dict[str, str], folder: Path, where: Text) -> NewCase:
    if not cells["image"]:
        raise ProjectError(
            Text("{where} gives no image.", where=where), Text("Give the path of a volume.")
        )
    image = folder / cells["image"]
    annotation, series_uid = cells.get("annotation", ""), cells.get("series_uid", "")
    try:
        case_id = cells["id"] or case_id_from_path(image)
        check_case_id(case_id)
    except ProjectError as error:
        raise ProjectError(
            Text("{where}: {reason}", where=where, reason=error.message), error.remedy
        ) from error
    return NewCase(
        case_id=case_id,
        role=_role(cells["role"], where),
        image=str(image),
        annotation=str(folder / annotation) if annotation else None,
        series_uid=series_uid or None,
    )


def _role(text: str, where: Text) -> CaseRole:
    roles = {role.value: role for role in CaseRole}
    if text.lower() not in roles:
        raise ProjectError(
            Text(
                "{where} has the role '{text}'; expected one of {roles}.",
                where=where,
                text=text,
                roles=", ".join(roles),
            ),
            Text("Correct the column role."),
        )
    return roles[text.lower()]
