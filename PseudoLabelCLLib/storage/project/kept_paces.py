"""How fast this computer does the work of a round, kept beside the trials of its devices."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.round_work import RoundWork, Work
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, read_json, write_json
from PseudoLabelCLLib.storage.files.own_seals import state_folder

_FILE_NAME = "paces.json"
_MOST_KEPT = 200


@dataclass(frozen=True)
class KeptPace:
    """How fast one kind of work was on one device.

    Args:
        work: What was done.
        kind: What its speed depends on (`RoundWork.kinds`).
        device: The device in words.
        torch: Version of torch; with another one it is measured again.
        seconds: For a unit.
        gpu_bytes: The most memory that torch took of a GPU for it; 0 on a CPU.
    """

    work: Work
    kind: str
    device: str
    torch: str
    seconds: float
    gpu_bytes: int = 0


@dataclass(frozen=True)
class _Kept:
    """What the file holds, the newest first."""

    paces: tuple[KeptPace, ...] = ()


def kept_paces(work: RoundWork, device: str, torch: str | None = None) -> dict[Work, KeptPace]:
    """Return what is known of each work of a round on a device of this computer.

    Args:
        work: Of the round.
        device: The device in words.
        torch: Version of torch; None takes what was measured last, whatever version it was.
    """
    found: dict[Work, KeptPace] = {}
    for one in _read():
        is_same = one.device == device and one.kind == work.kinds.get(one.work)
        if is_same and torch in (None, one.torch):
            found.setdefault(one.work, one)
    return found


def keep_paces(new: Iterable[KeptPace]) -> None:
    """Keep what was measured; where nothing can be kept, the next round measures again."""
    kept = {(one.work, one.kind, one.device, one.torch): one for one in reversed(_read())}
    for one in new:
        key = (one.work, one.kind, one.device, one.torch)
        kept.pop(key, None)
        kept[key] = one
    newest_first = tuple(reversed(kept.values()))
    with contextlib.suppress(PseudoLabelCLError):
        make_folder(state_folder())
        write_json(state_folder() / _FILE_NAME, to_json(_Kept(newest_first[:_MOST_KEPT])))


def _read() -> tuple[KeptPace, ...]:
    path = state_folder() / _FILE_NAME
    try:
        return from_json(_Kept, read_json(path), path.name).paces if path.exists() else ()
    except (PseudoLabelCLError, OSError):
        return ()  # damaged, or in a place that cannot be read: it is measured again
