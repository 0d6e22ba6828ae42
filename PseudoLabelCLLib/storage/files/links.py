"""Links: symbolic ones, and the junctions of Windows, which lead elsewhere just the same."""

import os
import stat
from pathlib import Path

# Of all reparse points of Windows these two lead elsewhere; files of a cloud drive are others.
_SYMBOLIC_LINK_TAG = 0xA000000C
_JUNCTION_TAG = 0xA0000003


def is_link(path: Path) -> bool:
    """Return whether a path itself, whatever its folders are, is a link or a junction."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):  # not there, not to be seen, or no path: its user says so
        return False
    tag = getattr(found, "st_reparse_tag", 0)
    return stat.S_ISLNK(found.st_mode) or tag in (_SYMBOLIC_LINK_TAG, _JUNCTION_TAG)
