"""Names of cases, from the files and folders of their volumes."""

import re
from collections.abc import Sequence
from pathlib import Path

from PseudoLabelCLLib.curation.find.file_names import stem_of
from PseudoLabelCLLib.domain.case import MAX_CASE_ID_LENGTH, check_case_id
from PseudoLabelCLLib.domain.errors import ProjectError

_UNFIT = re.compile(r'[\x00-\x1f/\\:*?"<>|]+')
# KiTS calls the image of every patient so.
_SAYS_NOTHING = frozenset(("imaging",))
_MOST_FOLDERS = 4


def are_called_the_same(files: Sequence[Path]) -> bool:
    """Return whether no file has a name that tells it from the others; their folders do then."""
    stems = [stem_of(file).casefold() for file in files]
    return all(stems.count(stem) > 1 or stem in _SAYS_NOTHING for stem in set(stems))


def names_of(files: Sequence[Path]) -> list[str]:
    """Return a name for each volume: its own, or its folder's where several are called the same.

    Folders that lie in each other do not tell patients apart.

    Args:
        files: Files, or folders of slices.
    """
    stems = [stem_of(file) for file in files]
    names = list(stems)
    for stem in dict.fromkeys(stem.casefold() for stem in stems):
        places = [n for n, other in enumerate(stems) if other.casefold() == stem]
        if len(places) > 1 or stem in _SAYS_NOTHING:
            for place, name in zip(places, _by_folders([files[n] for n in places]), strict=True):
                names[place] = name or stems[place]
    return names


def fit_name(wanted: str) -> str:
    """Return a name that a case can have, as near as possible to the one wanted."""
    name = " ".join(_UNFIT.sub("_", wanted)[:MAX_CASE_ID_LENGTH].split()).strip(" .") or "volume"
    try:
        check_case_id(name)
    except ProjectError:  # such as a device on Windows
        name = f"volume {name}"
    return name


def free_name(wanted: str, taken: set[str]) -> str:
    """Return a name for a case that nobody has, and note it as taken.

    Args:
        wanted: The name that it should have.
        taken: Names that are given, in lower case.
    """
    name = fit_name(wanted)
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        end = f"-{number}"
        free = name[: MAX_CASE_ID_LENGTH - len(end)].rstrip(" .") + end
    taken.add(free.casefold())
    return free


def _by_folders(files: Sequence[Path]) -> list[str]:
    """Return what tells files of one name apart: their folders, as few of them as will do."""
    parents = [file.absolute().parent for file in files]
    if any(one in other.parents for one in set(parents) for other in set(parents)):
        return [""] * len(files)
    names: list[str] = []
    for depth in range(1, _MOST_FOLDERS + 1):
        names = ["_".join(folder.parts[1:][-depth:]) for folder in parents]
        if len({name.casefold() for name in names}) == len({*parents}):
            break
    # two files in one folder keep their name beside the folder's
    return [
        name if parents.count(folder) == 1 else ""
        for name, folder in zip(names, parents, strict=True)
    ]
