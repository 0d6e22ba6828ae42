"""All texts that a translator sees, as a Qt translation file: collect_texts.py FILE.ts [KNOWN.ts].

The library's patterns stand in one context; the panel's texts in those that Slicer's translator
looks them up in: of a source file, and of a form. Translations of KNOWN.ts are taken over.
"""

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

REPOSITORY = Path(__file__).resolve().parents[2]
LIBRARY, MODULE = REPOSITORY / "PseudoLabelCLLib", REPOSITORY / "PseudoLabelCL"
FORMS = REPOSITORY / "Resources" / "UI"
LIBRARY_CONTEXT = "PseudoLabelCLLib"
# The command line speaks English.
_NOT_SHOWN = LIBRARY / "command_line"
# Which arguments of a call are patterns.
PATTERNS = {"Text": slice(0, 1), "pattern": slice(0, 1), "counted": slice(1, 3)}


@dataclass(frozen=True, order=True)
class Source:
    """A text in the sources.

    Args:
        context: Under which it is looked up.
        text: As it is written.
        file: Where, relative to the repository.
        line: Its line there.
    """

    context: str
    text: str
    file: str
    line: int


def collected() -> list[Source]:
    """Every text by context and place; one that stands in several places, by the first of them."""
    found: dict[tuple[str, str], Source] = {}
    for one in (*_of_library(), *_of_panel(), *_of_forms()):
        if re.search("[A-Za-z]", re.sub(r"\{[^{}]*\}", "", one.text)):
            found.setdefault((one.context, one.text), one)
    return sorted(found.values(), key=lambda one: (one.context, one.file, one.line, one.text))


def patterns_in(node: ast.Call) -> list[ast.expr]:
    """The arguments of a call that are patterns; none where it makes no text."""
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    return node.args[PATTERNS[name]] if name in PATTERNS else []


def literals_in(node: ast.expr) -> list[str]:
    """The literals that an argument can be."""
    if isinstance(node, ast.IfExp):
        return literals_in(node.body) + literals_in(node.orelse)
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return [node.value] if is_text else []


def calls_in(path: Path) -> Iterator[ast.Call]:
    """Every call in a source file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def library_files() -> list[Path]:
    """The files of the library whose texts reach the panel."""
    return [path for path in sorted(LIBRARY.rglob("*.py")) if _NOT_SHOWN not in path.parents]


def translations_in(path: Path) -> dict[tuple[str, str], str]:
    """The translations of a Qt translation file, by context and text."""
    return {
        (context.findtext("name") or "", message.findtext("source") or ""): translation
        for context in ET.parse(path).getroot().iter("context")
        for message in context.iter("message")
        if (translation := message.findtext("translation"))
    }


def write_translations(path: Path, language: str, known: dict[tuple[str, str], str]) -> None:
    """Write all texts as a Qt translation file, with the translations that are known."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<!DOCTYPE TS>"]
    lines.append(f'<TS version="2.1" language="{language}" sourcelanguage="en">')
    context = None
    for one in collected():
        if one.context != context:
            lines += ["</context>"] if context is not None else []
            lines += ["<context>", f"    <name>{escape(one.context)}</name>"]
            context = one.context
        told = known.get((one.context, one.text), "")
        state = "" if told else ' type="unfinished"'
        lines += [
            "    <message>",
            f'        <location filename="{one.file}" line="{one.line}"/>',
            f"        <source>{escape(one.text)}</source>",
            f"        <translation{state}>{escape(told)}</translation>",
            "    </message>",
        ]
    lines += ["</context>", "</TS>", ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), "utf-8", newline="\n")


def context_of(path: Path) -> str:
    """What `slicer.i18n.getContext` calls a source file, with its folder if that is a package."""
    folder = f"{path.parent.name}." if (path.parent / "__init__.py").exists() else ""
    return f"{folder}{path.stem}"


def _of_library() -> Iterator[Source]:
    for path in library_files():
        for call in calls_in(path):
            for argument in patterns_in(call):
                for text in filter(None, literals_in(argument)):
                    yield Source(LIBRARY_CONTEXT, text, _name(path), argument.lineno)


def _of_panel() -> Iterator[Source]:
    for path in sorted(MODULE.rglob("*.py")):
        for call in calls_in(path):
            if isinstance(call.func, ast.Name) and call.func.id == "_" and call.args:
                for text in literals_in(call.args[0]):
                    yield Source(context_of(path), text, _name(path), call.lineno)


def _of_forms() -> Iterator[Source]:
    for path in sorted(FORMS.glob("*.ui")):
        root = ET.parse(path).getroot()
        for one in root.iter("string"):
            text = one.text or ""
            if text.strip() and one.get("notr") != "true":
                yield Source(root.findtext("class") or "", text, _name(path), 0)


def _name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("target", type=Path, metavar="FILE.ts")
    parser.add_argument("known", type=Path, nargs="?", metavar="KNOWN.ts")
    given = parser.parse_args()
    known = {} if given.known is None else translations_in(given.known)
    write_translations(given.target, given.target.stem.rpartition("_")[2], known)
