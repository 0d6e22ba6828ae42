r"""Network shares of Windows: to look for a file on `\\server\share` is to log in at that server.

A project from a stranger may name a server as the place of its images. So only servers that a
person at this computer chose are looked at: by adding a volume from there, or by opening a project
that lies there.
"""

import contextlib
import sys
from pathlib import Path

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, UnknownServerError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, read_json, write_json
from PseudoLabelCLLib.storage.files.own_seals import state_folder

HAS_SHARES = sys.platform == "win32"
_MOST_SERVERS = 200
# Where nothing can be kept, a choice counts in this process.
_chosen_here: set[str] = set()


def server_of(text: str) -> str:
    r"""Return the server, or the device, that a path of Windows begins with, or an empty text.

    Args:
        text: A path, such as `\\server\share\a.nrrd`, `//server/share` or `\\?\UNC\server\share`.
    """
    if text[:1] not in ("\\", "/") or text[1:2] not in ("\\", "/"):
        return ""
    names = [name for name in text.replace("/", "\\").split("\\") if name]
    if not names or names[0] not in ("?", "."):
        return names[0].casefold() if names else ""
    after = names[1] if len(names) > 1 else ""
    if after.casefold() == "unc":
        return names[2].casefold() if len(names) > 2 else after.casefold()
    is_drive = len(after) == 2 and after[1] == ":"
    return "" if is_drive else f"{names[0]}\\{after.casefold()}"


def choose_server(text: str) -> None:
    """Remember the server of a path that a person chose; other paths name none."""
    server = server_of(text) if HAS_SHARES else ""
    if not server or server in _chosen():
        return
    _chosen_here.add(server)
    with contextlib.suppress(PseudoLabelCLError):
        make_folder(state_folder())
        kept = tuple(sorted(_chosen()))[:_MOST_SERVERS]
        write_json(state_folder() / "servers.json", to_json(kept))


def require_chosen_server(root: Path, text: str) -> None:
    """Refuse an image on a server that nobody at this computer chose.

    Args:
        root: The project folder; its own server was chosen with it.
        text: The path as the project stores it.

    Raises:
        UnknownServerError: It lies on one.
    """
    server = server_of(text) if HAS_SHARES else ""
    if not server or server == server_of(str(root.resolve())) or server in _chosen():
        return
    raise UnknownServerError(
        Text(
            "The project names an image on the server '{server}', from which no volume was "
            "added on this computer. It is not opened, since Windows would log in there "
            "with your user name.",
            server=server,
        ),
        Text(
            "If you know that server, add a volume from it to any project; otherwise, ask "
            "for the images themselves."
        ),
    )


def _chosen() -> set[str]:
    file = state_folder() / "servers.json"
    try:
        kept = from_json(tuple[str, ...], read_json(file), file.name) if file.exists() else ()
    except PseudoLabelCLError:
        kept = ()
    return {*kept, *_chosen_here}
