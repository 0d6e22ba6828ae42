"""Reports of rounds: written with this computer's seal, marked when they came from elsewhere."""

from collections.abc import Iterable
from pathlib import Path

from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.storage.files.atomic_files import write_texts
from PseudoLabelCLLib.storage.files.own_seals import is_seal_of_text, sealing
from PseudoLabelCLLib.storage.files.regular_files import read_regular

_BEGIN, _END = "\n<!-- seal ", " -->\n"
_MAX_BYTES = 2**28


def write_sealed_report(path: Path, parts: Iterable[str]) -> None:
    """Write a page in parts, aside, with a seal behind it that a browser does not show.

    Raises:
        StorageError: The disk refuses, or the text holds characters that UTF-8 cannot.
    """
    seal = sealing("report")

    def sealed() -> Iterable[str]:
        for part in parts:
            seal.update(part.encode("utf-8", "surrogatepass"))
            yield part
        yield f"{_BEGIN}{seal.hexdigest()}{_END}"

    write_texts(path, sealed())


def is_own_report(path: Path) -> bool:
    """Return whether a report was written on this computer and has not changed since."""
    try:
        page, mark, seal = read_regular(path, _MAX_BYTES).decode("utf-8").rpartition(_BEGIN)
    except (OSError, StorageError, UnicodeDecodeError):
        return False
    return bool(mark) and is_seal_of_text(seal.removesuffix(_END), "report", page)
