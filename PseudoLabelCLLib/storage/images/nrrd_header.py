"""The header of an NRRD file, checked before the library that reads it sees the file.

Source: "Definition of NRRD File Format", teem.sourceforge.net/nrrd/format.html.
"""

import re
from pathlib import Path

from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.images.image_header import (
    MAX_AXES,
    MAX_HEADER_BYTES,
    OTHER_KIND,
    Encoding,
    HeaderError,
    ImageHeader,
    header_bytes,
    numbers,
    one_of,
    refuse_repeated,
    require_fields,
    single_file,
    sizes_of,
    text_of_line,
    whole_number,
)

# Slicer writes terms and colours of a segment into lines of their own; the longest tells how a
# segmentation is converted and has some thousand characters.
_MAX_LINE = 2**16
_MAX_PLAIN_LINE = 2000
_MAGIC = re.compile(rb"NRRD000[1-5]\r?")
_VECTOR = re.compile(r"none|\([^()]*\)")
_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), 1),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(
        ("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2
    ),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), 4),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), 4),
    **dict.fromkeys(
        (
            "longlong", "long long", "long long int", "signed long long", "signed long long int",
            "int64", "int64_t",
        ),
        8,
    ),
    **dict.fromkeys(
        (
            "ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t",
        ),
        8,
    ),
    "float": 4,
    "double": 8,
}  # fmt: skip
_ENCODINGS = {
    "raw": Encoding.RAW, "gzip": Encoding.PACKED, "gz": Encoding.PACKED, "txt": Encoding.TEXT,
    "text": Encoding.TEXT, "ascii": Encoding.TEXT, "hex": Encoding.TEXT,
}  # fmt: skip
_SPACES = {
    **dict.fromkeys(
        (
            "right-anterior-superior", "ras", "left-anterior-superior", "las",
            "left-posterior-superior", "lps", "scanner-xyz", "3d-right-handed", "3d-left-handed",
        ),
        3,
    ),
    **dict.fromkeys(
        (
            "right-anterior-superior-time", "rast", "left-anterior-superior-time", "last",
            "left-posterior-superior-time", "lpst", "scanner-xyz-time",
            "3d-right-handed-time", "3d-left-handed-time",
        ),
        4,
    ),
}  # fmt: skip
_OTHER_NAMES = {
    "datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip",
    "axismins": "axis mins", "axismaxs": "axis maxs", "centerings": "centers",
    "sampleunits": "sample units", "oldmin": "old min", "oldmax": "old max",
}  # fmt: skip
# Fields of which a library takes the text as it is.
_TEXTS = frozenset(("content", "sample units", "number", "units", "labels", "space units"))
_PER_AXIS = frozenset(("spacings", "thicknesses", "axis mins", "axis maxs"))
_SINGLE = frozenset(("min", "max", "old min", "old max"))
_KNOWN = _TEXTS | _PER_AXIS | _SINGLE | {
    "type", "dimension", "sizes", "encoding", "endian", "space", "space dimension",
    "space directions", "space origin", "measurement frame", "kinds", "centers", "data file",
    "line skip", "byte skip",
}  # fmt: skip


def read_nrrd_header(path: Path) -> ImageHeader:
    """Return what the header says, once every field is what the format knows.

    Raises:
        HeaderError: A field is not.
        StorageError: It is not a regular file, or the disk refuses.
    """
    data = header_bytes(path)
    lines = data.split(b"\n")
    if not _MAGIC.fullmatch(lines[0]):
        raise HeaderError(OTHER_KIND)
    fields, offset = _fields_of(lines)
    require_fields(fields, ("type", "dimension", "sizes", "encoding"))
    num_axes = whole_number("dimension", fields["dimension"], 1, MAX_AXES)
    kind = one_of("type", fields["type"].lower(), _TYPES)
    encoding = one_of("encoding", fields["encoding"].lower(), frozenset(_ENCODINGS))
    _check_geometry(fields, num_axes)
    _check_rest(fields, num_axes)
    data_file = single_file("data file", fields["data file"]) if "data file" in fields else None
    skipped = max(0, whole_number("byte skip", fields.get("byte skip", "0"), -1, 2**40))
    return ImageHeader(
        sizes_of("sizes", fields["sizes"], num_axes),
        _TYPES[kind],
        _ENCODINGS[encoding],
        data_file,
        # within packed voxels the skip counts what was unpacked
        (0 if data_file else offset) + (skipped if encoding == "raw" else 0),
    )


def _fields_of(lines: list[bytes]) -> tuple[dict[str, str], int]:
    """Return the fields, and where the header ends."""
    fields: dict[str, str] = {}
    offset = len(lines[0]) + 1
    for line in lines[1:]:
        offset += len(line) + 1
        text = text_of_line(line, _MAX_LINE)
        if not text:
            return fields, offset
        before_key, key_divider, _ = text.partition(":=")
        if text.startswith("#") or (key_divider and ": " not in before_key):
            continue  # a remark, or a key of whoever wrote the file
        name, divider, value = text.partition(":")
        name = _OTHER_NAMES.get(name.strip().lower(), name.strip().lower())
        if not divider or name not in _KNOWN or len(text) > _MAX_PLAIN_LINE:
            raise HeaderError(Text("is damaged: its header has the line '{text}'", text=text[:60]))
        refuse_repeated(name, fields)
        fields[name] = value.strip()
    if offset > MAX_HEADER_BYTES:
        raise HeaderError(Text("is damaged: its header has no end"))
    return fields, offset


def _check_geometry(fields: dict[str, str], num_axes: int) -> None:
    num_space = num_axes
    if "space dimension" in fields:
        num_space = whole_number("space dimension", fields["space dimension"], 1, MAX_AXES)
    if "space" in fields:
        num_space = _SPACES[one_of("space", fields["space"].lower(), _SPACES)]
    counts = {"space directions": num_axes, "space origin": 1, "measurement frame": num_space}
    for name, count in counts.items():
        if name not in fields:
            continue
        vectors = _VECTOR.findall(fields[name])
        rest = _VECTOR.sub("", fields[name])
        if rest.strip() or len(vectors) != count:
            raise HeaderError(
                Text(
                    "is damaged: its header does not have {count} vectors for '{name}'",
                    count=count,
                    name=name,
                )
            )
        for vector in vectors:
            if vector != "none":
                numbers(name, vector.strip("()").replace(",", " "), num_space)


def _check_rest(fields: dict[str, str], num_axes: int) -> None:
    for name, value in fields.items():
        if name in _PER_AXIS:
            numbers(name, value, num_axes, allow_nan=True)
        elif name in _SINGLE:
            numbers(name, value, 1, allow_nan=True)
        elif name in _TEXTS and value.count('"') % 2:
            raise HeaderError(
                Text("is damaged: its header has a text without an end for '{name}'", name=name)
            )
        elif name in ("kinds", "centers"):
            words = value.split()
            if len(words) != num_axes or any(len(word) > 30 for word in words):
                raise HeaderError(
                    Text(
                        "is damaged: its header does not have {count} words for '{name}'",
                        count=num_axes,
                        name=name,
                    )
                )
    if "endian" in fields:
        one_of("endian", fields["endian"].lower(), frozenset(("little", "big")))
    whole_number("line skip", fields.get("line skip", "0"), 0, 2**20)
