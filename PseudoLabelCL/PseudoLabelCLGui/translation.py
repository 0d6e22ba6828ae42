"""The translation of the panel's words: Slicer's own translator once it is installed, else none."""

import re
import sys
from collections.abc import Callable

from PseudoLabelCLLib.domain.text import Text, filled, names_in

# Under this name Slicer's translator knows all texts of the library.
LIBRARY_CONTEXT = "PseudoLabelCLLib"
_PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")
_translator: "tuple[Callable[[str], str], Callable[[str, str], str]] | None" = None


def use_translator(context_of: Callable[[str], str], translate: Callable[[str, str], str]) -> None:
    """Translate from now on with Slicer's functions.

    Args:
        context_of: `slicer.i18n.getContext`: from a source file to the name of its context.
        translate: `slicer.i18n.translate`: from context and text to the translated text.
    """
    global _translator  # noqa: PLW0603 - `_` is a plain function everywhere in Slicer
    _translator = (context_of, translate)


def forget_translator() -> None:
    """Leave texts as they are written again."""
    global _translator  # noqa: PLW0603 - as above
    _translator = None


def _(text: str) -> str:
    """Return a text in the language of the application; `.format` comes after it.

    The context is that of the calling file, as Slicer's tool for collecting texts names it. A
    translation whose {placeholders} differ is not used: formatting it would fail.

    Args:
        text: As written in the source, a literal.
    """
    if _translator is None:
        return text
    context_of, translate = _translator
    context = context_of(sys._getframe(1).f_code.co_filename)
    translated = translate(context, text)
    same = set(_PLACEHOLDER.findall(text)) == set(_PLACEHOLDER.findall(translated))
    return translated if same else text


def translated(text: Text) -> str:
    """Return a text of the library in the language of the application.

    The pattern is looked up; values that are texts themselves are translated, too, and the others
    put in as they are. A translation that names other values is not used.

    Args:
        text: As it came in a message or an error.
    """
    if _translator is None or not text:
        return str(text)
    pattern = text.pattern
    words = {
        name: translated(value) if isinstance(value, Text) else value
        for name, value in text.values.items()
    }
    found = _in_library(pattern)
    if found == pattern and not pattern.endswith("."):
        # a clause that the library made of a sentence
        sentence = _in_library(f"{pattern}.")
        if sentence != f"{pattern}." and sentence.endswith("."):
            found = sentence[:-1]
    if not words:
        return found
    return filled(found if _has_the_same_names(found, pattern) else pattern, words)


def _in_library(pattern: str) -> str:
    assert _translator is not None
    return _translator[1](LIBRARY_CONTEXT, pattern)


def _has_the_same_names(found: str, pattern: str) -> bool:
    try:
        return set(names_in(found)) == set(names_in(pattern))
    except ValueError:
        return False
