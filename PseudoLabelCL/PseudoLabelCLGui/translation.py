"""The translation of the panel's words: Slicer's own translator once it is installed, else none."""

import re
import sys
from collections.abc import Callable

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
