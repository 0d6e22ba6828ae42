"""The model as one portable file: a zip of a card (model.json) and weights.

The weights are a safetensors file, weights.safetensors, that lies in the zip as it is. Earlier
versions wrote weights.pt, what `torch.save` makes; such files are read, never written.
"""

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from PseudoLabelCLLib.domain.errors import ModelFileError, ProjectDamagedError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue, parse_json
from PseudoLabelCLLib.storage.files.atomic_files import storage_error, written_aside
from PseudoLabelCLLib.storage.files.regular_files import opened_regular
from PseudoLabelCLLib.storage.project.safetensors_header import TensorFileError, checked_metadata

# Format 1 has the papers' U-Net alone, format 2 a choice of backbones, format 3 its weights as raw
# tensors, format 4 how the weights were chosen; all of them are read. Format 5 has channels,
# patches and networks in 3-D, format 6 neighbouring slices and a coarse pass.
CARD_VERSION = 6
MAX_CARD_BYTES = 16 * 2**20
MAX_WEIGHTS_BYTES = 2**30
_CARD, _WEIGHTS = "model.json", "weights.safetensors"
_WEIGHTS_OF_EARLIER_VERSIONS = "weights.pt"
_MAX_INNER_MEMBERS = 10_000
# What the zip library raises where a file is damaged.
_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, struct.error)
_EARLIEST_TIME = (1980, 1, 1, 0, 0, 0)
_REMEDY = Text(
    "Use only model files that PseudoLabelCL wrote and that you trust; copy the file again."
)


def write_model_archive(path: Path, card: JsonValue, weights: bytes) -> None:
    """Write a model file; the same content always gives the same bytes.

    Args:
        path: Where.
        card: What a person and a program need to know about the model.
        weights: A safetensors file.

    Raises:
        ModelFileError: The content breaks the limits that reading sets.
        StorageError: The disk refuses.
    """
    text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False).encode("utf-8")
    if len(text) > MAX_CARD_BYTES or len(weights) > MAX_WEIGHTS_BYTES:
        raise ModelFileError(
            Text("The model for '{file}' is too large for a model file.", file=path.name)
        )
    _check_tensors(path, weights)
    with written_aside(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data, packing in (
            (_CARD, text, zipfile.ZIP_DEFLATED),
            (_WEIGHTS, weights, zipfile.ZIP_STORED),
        ):
            member = zipfile.ZipInfo(name, _EARLIEST_TIME)
            member.compress_type = packing
            archive.writestr(member, data)


def require_known_version(path: Path, card: JsonValue) -> None:
    """Refuse a card that a newer version of the program wrote.

    Raises:
        ModelFileError: It is newer than `CARD_VERSION`.
    """
    version = card.get("schema_version") if isinstance(card, dict) else None
    if isinstance(version, int) and version > CARD_VERSION:
        raise ModelFileError(
            Text(
                "'{file}' was written by a newer version (model format {version}, this "
                "program knows {known}).",
                file=path.name,
                version=version,
                known=CARD_VERSION,
            ),
            Text("Update PseudoLabelCL."),
        )


def read_model_archive(path: Path) -> tuple[JsonValue, bytes]:
    """Return the card and the weights of a model file.

    The weights are a safetensors file, or, of an earlier version, what `torch.save` made; nothing
    is unpacked to disk, and no size that the file merely claims is trusted.

    Raises:
        ModelFileError: It is not a model file, damaged, or unsafe.
        StorageError: The disk refuses, or it is not a regular file.
    """
    try:
        with opened_regular(path) as file:
            _check_beginning(path, file.read(4))
            with zipfile.ZipFile(file) as archive:
                weights_name = _checked_weights_name(path, archive.infolist())
                card = _read_member(path, archive, _CARD, MAX_CARD_BYTES)
                weights = _read_member(path, archive, weights_name, MAX_WEIGHTS_BYTES)
    except FileNotFoundError as error:
        raise ModelFileError(
            Text("The model file '{path}' was not found.", path=path), Text("Check the path.")
        ) from error
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    except _DAMAGE as error:
        raise _damaged(path) from error
    check = _check_tensors if weights_name == _WEIGHTS else _check_inner_zip
    check(path, weights)
    try:
        return parse_json(card, f"{_CARD} in '{path.name}'"), weights
    except ProjectDamagedError as error:
        raise ModelFileError(error.message, _REMEDY) from error


def holds_earlier_weights(path: Path) -> bool:
    """Return whether an earlier version wrote a model file.

    Raises:
        ModelFileError: It is not a model file, or damaged.
        StorageError: The disk refuses, or it is not a regular file.
    """
    try:
        with opened_regular(path) as file, zipfile.ZipFile(file) as archive:
            return _WEIGHTS_OF_EARLIER_VERSIONS in archive.namelist()
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    except _DAMAGE as error:
        raise _damaged(path) from error


def _check_beginning(path: Path, first_bytes: bytes) -> None:
    if first_bytes[:1] == b"\x80":
        raise ModelFileError(
            Text(
                "'{path}' is a pickle, which could run any program when it is opened; "
                "expected a model file of PseudoLabelCL.",
                path=path,
            ),
            _REMEDY,
        )
    if first_bytes != b"PK\x03\x04":
        raise ModelFileError(
            Text("'{path}' is not a model file of PseudoLabelCL.", path=path), _REMEDY
        )


def _checked_weights_name(path: Path, members: list[zipfile.ZipInfo]) -> str:
    """Check what lies in the zip by its directory, and return the name of the weights."""
    names = sorted(member.filename for member in members)
    weights_name = next((name for name in names if name == _WEIGHTS_OF_EARLIER_VERSIONS), _WEIGHTS)
    if names != sorted((_CARD, weights_name)):
        shown = ", ".join(repr(name) for name in names[:6]) or Text("nothing")
        raise ModelFileError(
            Text(
                "'{path}' is not a model file of PseudoLabelCL: it holds {found}; expected "
                "{card} and {weights}.",
                path=path,
                found=shown,
                card=_CARD,
                weights=_WEIGHTS,
            ),
            _REMEDY,
        )
    for member in members:
        if member.flag_bits & 1:
            raise ModelFileError(
                Text("'{path}' is encrypted; expected a plain model file.", path=path), _REMEDY
            )
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _damaged(path)
        if member.filename == weights_name and member.compress_type != zipfile.ZIP_STORED:
            raise ModelFileError(
                Text(
                    "The weights in '{path}' are compressed; a model file holds them "
                    "uncompressed, so that they are never larger than the file.",
                    path=path,
                ),
                _REMEDY,
            )
    return weights_name


def _read_member(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    declared = archive.getinfo(name).file_size
    if declared > limit:
        raise _too_large(path, name, limit)
    with archive.open(name) as member:
        data = member.read(declared + 1)
    if len(data) != declared:
        raise _damaged(path)
    return data


def _check_tensors(path: Path, weights: bytes) -> None:
    try:
        checked_metadata(weights)
    except TensorFileError as error:
        raise ModelFileError(
            Text("The weights in '{path}' are damaged: {found}.", path=path, found=error.found),
            _REMEDY,
        ) from error


def _check_inner_zip(path: Path, weights: bytes) -> None:
    """Check the zip that torch writes: its members lie in it unpacked, so none can be a bomb."""
    if weights[:4] != b"PK\x03\x04":
        raise ModelFileError(
            Text(
                "The weights in '{path}' are not in torch's zip form; an older form could "
                "run any program when it is opened.",
                path=path,
            ),
            _REMEDY,
        )
    try:
        with zipfile.ZipFile(io.BytesIO(weights)) as archive:
            members = archive.infolist()
    except _DAMAGE as error:
        raise _damaged(path) from error
    if len(members) > _MAX_INNER_MEMBERS or sum(m.file_size for m in members) > len(weights):
        raise _too_large(path, _WEIGHTS_OF_EARLIER_VERSIONS, len(weights))
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in member.filename:
            raise ModelFileError(
                Text(
                    "The weights in '{path}' name a file outside of them ({name!r}).",
                    path=path,
                    name=member.filename,
                ),
                _REMEDY,
            )
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise _damaged(path)


def _too_large(path: Path, name: str, limit: int) -> ModelFileError:
    return ModelFileError(
        Text(
            "{name} in '{path}' claims to unpack to more than {limit} bytes; this is not a "
            "model, and it could fill the memory.",
            name=name,
            path=path,
            limit=limit,
        ),
        _REMEDY,
    )


def _damaged(path: Path) -> ModelFileError:
    return ModelFileError(Text("The model file '{path}' is damaged.", path=path), _REMEDY)
