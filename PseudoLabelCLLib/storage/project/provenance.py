"""Where a project and its verdicts were made: here, or on another computer; and who signs them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.review import Review
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, counted
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json, to_json
from PseudoLabelCLLib.storage.files.atomic_files import (
    make_folder,
    read_json,
    write_json,
    write_text,
)
from PseudoLabelCLLib.storage.files.own_seals import is_seal_of_text, seal_of_text, state_folder
from PseudoLabelCLLib.storage.files.regular_files import read_regular

MAX_AUTHOR_LENGTH = 100
_MOST_AUTHORS, _LONGEST_AUTHOR = 3, 40


@dataclass(frozen=True)
class Foreign:
    """What in a project was not made on this computer, as far as seals tell.

    Args:
        is_project: Whether project.json was made or last changed elsewhere.
        verdicts: Case and round of the verdicts that were given elsewhere.
        authors: The names that these bear, as their givers chose them.
    """

    is_project: bool
    verdicts: tuple[tuple[str, int], ...]
    authors: tuple[str, ...] = ()

    @property
    def sentence(self) -> Text:
        """The same for a person; empty if everything was made here."""
        number = len(self.verdicts)
        if self.is_project and number:
            return counted(
                number,
                "This project was made and {count} verdict was given on another computer, or by "
                "an earlier version of the program{signed}; check them before you train.",
                "This project was made and {count} verdicts were given on another computer, or by "
                "an earlier version of the program{signed}; check them before you train.",
                signed=self._signed,
            )
        if number:
            return counted(
                number,
                "{count} verdict was given on another computer, or by an earlier version of the "
                "program{signed}; check it before you train.",
                "{count} verdicts were given on another computer, or by an earlier version of the "
                "program{signed}; check them before you train.",
                signed=self._signed,
            )
        if self.is_project:
            return Text(
                "This project was made on another computer, or by an earlier version of the "
                "program; check its cases before you train."
            )
        return NO_TEXT

    @property
    def _signed(self) -> Text:
        """The names, the first few of them, since a stranger wrote them."""
        names = [_shown(name) for name in self.authors if _shown(name)]
        more = ", ..." if len(names) > _MOST_AUTHORS else ""
        told = ", ".join(names[:_MOST_AUTHORS])
        return Text(" (signed {names}{more})", names=told, more=more) if names else NO_TEXT


def _shown(name: str) -> str:
    plain = "".join(filter(str.isprintable, name)).strip()
    return f"'{plain[:_LONGEST_AUTHOR]}'" if plain else ""


def signed(review: Review) -> Review:
    """Return a verdict with its author and with this computer's seal."""
    review = replace(review, author=author(), origin="")
    return replace(review, origin=seal_of_text("verdict", _text_of(review)))


def is_own_verdict(review: Review) -> bool:
    """Return whether a verdict was given on this computer and has not changed since."""
    return is_seal_of_text(review.origin, "verdict", _text_of(review))


def origin_of_project(body: JsonValue) -> str:
    """Return this computer's seal of the content of project.json, without version and seal."""
    return seal_of_text("project", json.dumps(body, sort_keys=True))


def is_own_project(body: JsonValue, origin: str) -> bool:
    """Return whether the content of project.json was last written on this computer."""
    return is_seal_of_text(origin, "project", json.dumps(body, sort_keys=True))


def author() -> str:
    """Return the name that this user chose to sign verdicts with; empty if none."""
    try:
        text = read_regular(state_folder() / "author.txt", 4 * MAX_AUTHOR_LENGTH)
    except (OSError, PseudoLabelCLError):
        return ""
    return text.decode("utf-8", "replace").strip()[:MAX_AUTHOR_LENGTH]


def choose_author(name: str) -> None:
    """Sign verdicts with a name from now on; with none if it is empty.

    Raises:
        StorageError: The disk refuses.
    """
    make_folder(state_folder())
    kept = "".join(filter(str.isprintable, " ".join(name.split())))
    write_text(state_folder() / "author.txt", kept[:MAX_AUTHOR_LENGTH] + "\n")


def is_news(root: Path, foreign: Foreign) -> bool:
    """Return whether what is foreign in a project has not been reported on this computer before.

    From now on it has; where that cannot be stored, it is reported every time.
    """
    if not foreign.sentence:
        return False
    file = state_folder() / "told.json"
    place, what = str(root.resolve()), to_json(foreign)
    told: dict[str, str] = {}
    try:
        told = from_json(dict[str, str], read_json(file), file.name) if file.exists() else {}
    except PseudoLabelCLError:
        told = {}
    key, value = seal_of_text("place", place), seal_of_text("told", json.dumps(what))
    if told.get(key) == value:
        return False
    try:
        make_folder(file.parent)
        write_json(file, {**told, key: value})
    except PseudoLabelCLError:
        return True
    return True


def _text_of(review: Review) -> str:
    """Return what a person decided; where its files lie may change with its place."""
    decided = [
        review.case_id, review.round_index, review.verdict, review.truth_slices, review.time,
        review.left_out, review.author, review.segmentation is None, review.truth_mask is None,
    ]  # fmt: skip
    return json.dumps(to_json(decided))
