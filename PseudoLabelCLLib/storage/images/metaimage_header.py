"""The header of a MetaImage file, checked before the library that reads it sees the file.

Source: "MetaIO/Documentation", itk.org/Wiki/ITK/MetaIO/Documentation.
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

_MAX_LINE = 2000
# Whoever writes a file may add keys of his own, such as DICOM tags.
_KEY = re.compile(r"[A-Za-z0-9_|.()\-,\[\] ]{1,60}")
_MAX_TEXT = 250
_TYPES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}  # fmt: skip
_BOOLEANS = frozenset(("true", "false", "0", "1"))
_FLAGS = ("BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "CompressedData")
_PER_AXIS = (
    "ElementSpacing", "ElementSize", "Offset", "Position", "Origin", "CenterOfRotation",
)  # fmt: skip
_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_SINGLE = (
    "ElementMin", "ElementMax", "ElementToIntensityFunctionSlope",
    "ElementToIntensityFunctionOffset", "CompressionLevel", "ID", "ParentID",
)  # fmt: skip
_ANATOMICAL = re.compile(r"[A-Za-z?]{0,10}")
_LAST = "ElementDataFile"


def read_metaimage_header(path: Path) -> ImageHeader:
    """Return what the header says, once every field is what the format knows.

    Raises:
        HeaderError: A field is not.
        StorageError: It is not a regular file, or the disk refuses.
    """
    fields, offset = _fields_of(header_bytes(path))
    require_fields(fields, ("NDims", "DimSize", "ElementType", _LAST))
    one_of("ObjectType", fields.get("ObjectType", "Image"), frozenset(("Image",)))
    num_axes = whole_number("NDims", fields["NDims"], 1, MAX_AXES)
    kind = one_of("ElementType", fields["ElementType"], _TYPES)
    for name, value in fields.items():
        _check_field(name, value, num_axes)
    channels = whole_number(
        "ElementNumberOfChannels", fields.get("ElementNumberOfChannels", "1"), 1, 1024
    )
    header_size = whole_number("HeaderSize", fields.get("HeaderSize", "0"), -1, 2**40)
    name = single_file(_LAST, fields[_LAST])
    is_local = name.upper() == "LOCAL"
    sizes = sizes_of("DimSize", fields["DimSize"], num_axes)
    return ImageHeader(
        sizes if channels == 1 else (*sizes, channels),
        _TYPES[kind],
        _encoding(fields),
        None if is_local else name,
        offset if is_local else max(0, header_size),
    )


def _fields_of(data: bytes) -> tuple[dict[str, str], int]:
    """Return the fields, and where the header ends."""
    fields: dict[str, str] = {}
    offset = 0
    while offset < min(len(data), MAX_HEADER_BYTES):
        end = data.find(b"\n", offset)
        end = len(data) if end < 0 else end
        if not fields and b"=" not in data[offset:end]:
            raise HeaderError(OTHER_KIND)
        text = text_of_line(data[offset:end], _MAX_LINE)
        offset = end + 1
        name, divider, value = text.partition("=")
        name = name.strip()
        if not divider or not _KEY.fullmatch(name):
            raise HeaderError(Text("is damaged: its header has the line '{text}'", text=text[:60]))
        refuse_repeated(name, fields)
        fields[name] = value.strip()
        if name == _LAST:
            return fields, offset
    raise HeaderError(Text("is damaged: its header lacks {field}", field=_LAST))


def _check_field(name: str, value: str, num_axes: int) -> None:
    counts = {
        **dict.fromkeys(_PER_AXIS, num_axes),
        **dict.fromkeys(_MATRICES, num_axes**2),
        **dict.fromkeys(_SINGLE, 1),
        "Color": 4,
    }
    if name in counts:
        numbers(name, value, counts[name])
    elif name in _FLAGS:
        one_of(name, value.lower(), _BOOLEANS)
    elif name == "CompressedDataSize":
        whole_number(name, value, 0, 2**48)
    elif name == "AnatomicalOrientation":
        if not _ANATOMICAL.fullmatch(value):
            raise HeaderError(
                Text(
                    "is damaged: its header has '{value}' for '{name}'",
                    value=value[:60],
                    name=name,
                )
            )
    elif len(value) > _MAX_TEXT:
        raise HeaderError(
            Text(
                "is damaged: its header has {count} characters for '{name}'",
                count=len(value),
                name=name,
            )
        )


def _encoding(fields: dict[str, str]) -> Encoding:
    if fields.get("CompressedData", "False").lower() in ("true", "1"):
        return Encoding.PACKED
    is_text = fields.get("BinaryData", "True").lower() in ("false", "0")
    return Encoding.TEXT if is_text else Encoding.RAW
