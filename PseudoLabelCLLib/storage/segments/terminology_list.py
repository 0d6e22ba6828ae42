"""Codes for common structures, proposed from the name that a person gave; words, not numbers."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

from PseudoLabelCLLib.domain.segmentation import Code, Terminology
from PseudoLabelCLLib.messages.json_codec import from_json
from PseudoLabelCLLib.storage.files.atomic_files import read_json

# Structures and codes of 3D Slicer's "General Anatomy" list, with some of its DICOM list and of the
# DICOM standard's own (myocardium, zones of the prostate, lesion); the synonyms are ours.
LIST_FILE = Path(__file__).with_name("anatomy_terms.json")

_SIDES = {
    "left": "left", "l": "left", "lt": "left", "lh": "left",
    "right": "right", "r": "right", "rt": "right", "rh": "right",
    "both": "both", "bilateral": "both",
}  # fmt: skip
_FILLERS = {"the", "of", "a", "and", "segment", "label", "structure", "region", "mask"}
_MOST_PROPOSALS = 8
_LEAST_LIKENESS = 0.5
# Two letters wrong in ten: a typing error; more is another word.
_SAME_WORD = 0.82


@dataclass(frozen=True)
class _Structure:
    category: str
    scheme: str
    value: str
    meaning: str
    sided: bool
    synonyms: tuple[str, ...]

    @property
    def phrases(self) -> tuple[frozenset[str], ...]:
        return tuple(frozenset(_words_in(text)) for text in (self.meaning, *self.synonyms))


@dataclass(frozen=True)
class _TermList:
    schema_version: int
    sides: dict[str, tuple[str, str, str]]
    categories: dict[str, tuple[str, str, str]]
    structures: tuple[_Structure, ...]


def propose_terminology(name: str) -> tuple[Terminology, ...]:
    """Return what a structure of this name may be, best first; nothing if no name is like it.

    A side in the name ("left kidney", "kidney_L") becomes the modifier of a structure that has
    two.
    """
    words = _words_in(name)
    sides = [_SIDES[word] for word in words if word in _SIDES]
    side = sides[0] if len(set(sides)) == 1 else ("both" if sides else None)
    known = _known()
    scored = []
    for place, structure in enumerate(known.structures):
        sided = structure.sided and side is not None
        asked = frozenset(word for word in words if not (sided and word in _SIDES))
        likeness = max(_likeness(asked, phrase) for phrase in structure.phrases)
        if likeness >= _LEAST_LIKENESS:
            scored.append((-likeness, place, structure, side if sided else None))
    scored.sort(key=lambda item: item[:2])
    return tuple(_terminology(known, s, chosen) for _, _, s, chosen in scored[:_MOST_PROPOSALS])


def terminology_named(words: str) -> Terminology | None:
    """Return the structure that is called exactly so, in any order of words, or None."""
    best = propose_terminology(words)[:1]
    asked = frozenset(_words_in(words))
    for found in best:
        side = found.type_modifier
        unsided = asked - _SIDES.keys() if side is not None else asked
        phrases = next(s.phrases for s in _known().structures if s.value == found.type.value)
        if unsided in phrases or frozenset(_words_in(in_words(found))) == asked:
            return found
    return None


def all_terminologies() -> tuple[Terminology, ...]:
    """Return every structure of the list without a side, for a person to choose from."""
    known = _known()
    return tuple(_terminology(known, structure, None) for structure in known.structures)


def in_words(terminology: Terminology) -> str:
    """Return what a clinician reads: "Kidney, left", "Mass in liver"."""
    text = terminology.type.meaning
    if terminology.type_modifier is not None:
        text += f", {terminology.type_modifier.meaning.lower()}"
    if terminology.region is not None:
        text += f" in {terminology.region.meaning.lower()}"
        if terminology.region_modifier is not None:
            text += f", {terminology.region_modifier.meaning.lower()}"
    return text


@cache
def _known() -> _TermList:
    return from_json(_TermList, read_json(LIST_FILE), LIST_FILE.name)


def _words_in(text: str) -> list[str]:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)  # "LeftKidney"
    words = re.findall(r"[^\W\d_]+", apart.casefold())
    return [_singular(word) for word in words if word not in _FILLERS]


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _likeness(asked: frozenset[str], phrase: frozenset[str]) -> float:
    """Return the share of words that both have, 0..1; a phrase wholly in the name counts half."""
    if not phrase or all(len(word) == 1 for word in asked):  # a letter alone says nothing
        return 0.0
    shared = sum(any(_is_same(word, other) for other in asked) for word in phrase)
    likeness = shared / (len(asked) + len(phrase) - shared)
    return max(likeness, _LEAST_LIKENESS) if shared == len(phrase) else likeness


def _is_same(word: str, other: str) -> bool:
    if word == other:
        return True
    if min(len(word), len(other)) < 5 or word[0] != other[0]:
        return False
    return SequenceMatcher(None, word, other).ratio() >= _SAME_WORD


def _terminology(known: _TermList, structure: _Structure, side: str | None) -> Terminology:
    return Terminology(
        category=Code(*known.categories[structure.category]),
        type=Code(structure.scheme, structure.value, structure.meaning),
        type_modifier=None if side is None else Code(*known.sides[side]),
    )
