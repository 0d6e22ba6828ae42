"""The header of a safetensors file, checked before anything else looks at the file.

A file is the length of a JSON header (8 bytes, little-endian), the header, and the bytes of the
tensors, one after the other without gaps. The header tells the type, shape and place of each.

Source: The safetensors format, https://github.com/huggingface/safetensors.
"""

import math
from dataclasses import dataclass

from PseudoLabelCLLib.domain.errors import ProjectDamagedError
from PseudoLabelCLLib.domain.text import Text, as_clause
from PseudoLabelCLLib.messages.json_codec import from_json, parse_json

MAX_HEADER_BYTES = 2**24
_LENGTH_BYTES = 8
_METADATA = "__metadata__"
_NUM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip


@dataclass(frozen=True)
class _Entry:
    """What the header tells of a tensor."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]

    @property
    def num_bytes(self) -> int:
        return _NUM_BYTES[self.dtype] * math.prod(self.shape)


class TensorFileError(ValueError):
    """The bytes are no safetensors file, or its header does not match its contents.

    Args:
        found: What was found, a clause.
    """

    def __init__(self, found: Text) -> None:
        super().__init__(found)
        self.found = found


def checked_metadata(data: bytes) -> dict[str, str]:
    """Check that every tensor is exactly as large as its bytes, and return the texts beside them.

    Args:
        data: The whole file.

    Raises:
        TensorFileError: It is not a safetensors file, or its header does not match its contents.
    """
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    begin = _LENGTH_BYTES + length
    if len(data) < _LENGTH_BYTES or begin > len(data):
        raise TensorFileError(Text("it is cut off, or no safetensors file"))
    if length > MAX_HEADER_BYTES:
        raise TensorFileError(Text("its header is larger than {most} bytes", most=MAX_HEADER_BYTES))
    try:
        header = parse_json(data[_LENGTH_BYTES:begin], "the header")
        told = header.pop(_METADATA, {}) if isinstance(header, dict) else {}
        metadata = from_json(dict[str, str], told, f"the header, {_METADATA}")
        entries = from_json(dict[str, _Entry], header, "the header")
    except ProjectDamagedError as error:
        raise TensorFileError(as_clause(error.message)) from error
    _check_places(entries, len(data) - begin)
    return metadata


def _check_places(entries: dict[str, _Entry], num_bytes: int) -> None:
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        if entry.dtype not in _NUM_BYTES:
            raise TensorFileError(
                Text(
                    "the tensor '{name}' is of the unknown type '{type}'",
                    name=name,
                    type=entry.dtype,
                )
            )
        first, after = entry.data_offsets
        if min(entry.shape, default=0) < 0 or after - first != entry.num_bytes:
            raise TensorFileError(
                Text("the tensor '{name}' claims a size that does not match its bytes", name=name)
            )
        if first != end:
            raise TensorFileError(Text("its tensors overlap, or have gaps between them"))
        end = after
    if end != num_bytes:
        raise TensorFileError(
            Text(
                "its tensors have {expected} bytes, the file holds {found}",
                expected=end,
                found=num_bytes,
            )
        )
