"""A table of cases in a CSV file, to add many at once."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PseudoLabelCLLib.curation.find.case_names import fit_name
from PseudoLabelCLLib.curation.find.channel_files import channel_of_file
from PseudoLabelCLLib.domain.case import CaseRole, NewCase, check_case_id
from PseudoLabelCLLib.domain.channels import NamedImage, missing_among
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.file_formats import whole_suffix
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import storage_error

_OPTIONAL = ("annotation", "series_uid")


@dataclass(frozen=True)
class _Columns:
    """The columns of a table, in lower case.

    Args:
        channels: The names of the images of a case; empty for one unnamed image.
    """

    channels: tuple[str, ...]

    @property
    def images(self) -> tuple[str, ...]:
        """The column of each image, the first one first; that may also be called image."""
        return tuple(channel.casefold() for channel in self.channels) or ("image",)

    @property
    def required(self) -> tuple[str, ...]:
        """Those that a table must have."""
        return ("id", "role", *self.images)

    @property
    def known(self) -> tuple[str, ...]:
        """All that a table may have; each image can have its series."""
        series = (f"{image}_series_uid" for image in self.images if self.channels)
        return (*self.required, *_OPTIONAL, *series)

    @property
    def remedy(self) -> Text:
        """What the columns are, for a person."""
        names = ("id", "role", *(self.channels or ("image",)))
        return Text(
            "The columns are {required} and, where needed, {optional}.",
            required=", ".join(names),
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


def read_case_table(path: Path, channels: Sequence[str] = ()) -> tuple[NewCase, ...]:
    """Read a CSV file with the columns id, role, image and optionally annotation and series_uid.

    Comma, semicolon and tab separate; an empty id is made from the image's name. Paths are taken
    from the folder of the table.

    Args:
        path: The table.
        channels: The images of a case, which stand in columns of these names in place of image.

    Raises:
        ProjectError: A column is missing or unknown, a role is unknown, or a name comes twice.
        StorageError: The file cannot be read.
    """
    text = _read_text(path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=header.count)
    rows: dict[str, NewCase] = {}
    columns = _Columns(tuple(channels))
    try:
        reader = csv.DictReader(io.StringIO(text.lstrip("\r\n")), delimiter=delimiter)
        names = [name.strip().casefold() for name in reader.fieldnames or ()]
        reader.fieldnames = [columns.images[0] if name == "image" else name for name in names]
        _check_columns(path, reader.fieldnames, columns)
        for line in reader:
            known = columns.known
            cells = {name: (cell or "").strip() for name, cell in line.items() if name in known}
            if any(cells.values()):
                where = Text("Line {number} of '{file}'", number=reader.line_num, file=path.name)
                _add_row(rows, _row(line, cells, path.parent, where, columns), where)
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


def _check_columns(path: Path, found: "list[str]", columns: _Columns) -> None:
    missing = [name for name in columns.required if name not in found]
    unknown = [name for name in found if name and name not in columns.known]
    if missing:
        shown = ", ".join(found) or Text("none")
        raise ProjectError(
            Text(
                "The table '{file}' lacks the column {columns} (found: {found}).",
                file=path.name,
                columns=", ".join(missing),
                found=shown,
            ),
            columns.remedy,
        )
    if unknown:
        raise ProjectError(
            Text(
                "The table '{file}' has the unknown column {columns}.",
                file=path.name,
                columns=", ".join(unknown),
            ),
            columns.remedy,
        )
    twice = sorted({name for name in found if name and found.count(name) > 1})
    if twice:
        raise ProjectError(
            Text(
                "The table '{file}' has the column {columns} twice.",
                file=path.name,
                columns=", ".join(twice),
            ),
            columns.remedy,
        )


def _add_row(rows: dict[str, NewCase], row: NewCase, where: Text) -> None:
    if row.case_id.casefold() in rows:
        raise ProjectError(
            Text("{where} names the case '{case}' a second time.", where=where, case=row.case_id),
            Text("Give each case its own name."),
        )
    rows[row.case_id.casefold()] = row


def _row(
    line: "dict[Any, Any]", cells: dict[str, str], folder: Path, where: Text, columns: _Columns
) -> NewCase:
    if line.get(None):
        raise ProjectError(
            Text("{where} has more cells than the header.", where=where),
            Text("Check its separators."),
        )
    _check_images(cells, where, columns)
    images = [str(folder / cells[name]) for name in columns.images]
    series = [cells.get(f"{name}_series_uid") or None for name in columns.images]
    annotation = cells.get("annotation", "")
    try:
        case_id = cells["id"] or _id_of(Path(images[0]), columns)
        check_case_id(case_id)
    except ProjectError as error:
        raise ProjectError(
            Text("{where}: {reason}", where=where, reason=error.message), error.remedy
        ) from error
    return NewCase(
        case_id=case_id,
        role=_role(cells["role"], where),
        image=images[0],
        annotation=str(folder / annotation) if annotation else None,
        series_uid=series[0] or cells.get("series_uid") or None,
        channel=columns.channels[0] if columns.channels else "",
        further_images=tuple(
            NamedImage(*named)
            for named in zip(columns.channels[1:], images[1:], series[1:], strict=True)
        ),
    )


def _id_of(image: Path, columns: _Columns) -> str:
    place = channel_of_file(image, columns.channels)
    return fit_name(place[0]) if place and place[0] else case_id_from_path(image)


def _check_images(cells: dict[str, str], where: Text, columns: _Columns) -> None:
    missing = [name for name in columns.images if not cells.get(name)]
    if not missing:
        return
    if not columns.channels:
        raise ProjectError(
            Text("{where} gives no image.", where=where), Text("Give the path of a volume.")
        )
    names = missing_among(columns.channels, [name for name in columns.images if cells.get(name)])
    raise ProjectError(
        Text("{where} gives no {missing} image.", where=where, missing=", ".join(names)),
        Text("Give the path of a volume in every column of a channel, or leave the line out."),
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
