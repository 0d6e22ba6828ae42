"""No text has a phrase that a better wording has replaced (Docs/glossary.md has the words)."""

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# what must not come back, and what to write instead
ANYWHERE = {
    r"(?<!here )\bis no (list|range|file|folder|project|model|DICOM|volume|link|regular)\b": (
        "is not a (valid) ..."
    ),
    r"\bis none of (the|its|these|them)\b(?! accepted)": "is not one of ...",
    r"\bis none of \{": "is not one of ...",
    r"\b(M|m)end(s|ed|ing)?\b(?! CVE)": "fix",
    r"\bvouch": "confirm",
    r"\bfor good\b": "permanently; say what is lost and what is kept",
    r"\b(L|l)et(s|ting)? go of\b": "close, release or drop",
    r"\bgives? (the|this|that) \w+ up\b": "discards ...",
    r"\bstop or surprise\b": "errors and warnings",
    r"\bis being looked at\b": "Checking ...",
    r"\bmany rounds without a review between\b": "number of rounds to train without review",
    r"\bas (it|they) (is|are) called\b": "give it the name of ...",
    r"\ball the same\b": "anyway",
    r"\bany ?more\b(?! than)(?!\))": "no longer",
    r"\bgoes on on\b": "continues on",
    r"\bmakes? no (volume|list|image)\b": "does not form a ...",
    r"\bmet an error\b": "an error occurred",
    r"\bmade-up\b": "synthetic",
    r"\bnobody (named|called) (it|them) so\b": "say what the name should be",
    r"\bso that it needs\b": "so it needs",
    r"\b(stands|stand) in the way\b": "prevents ...",
    r"\banother (grid|name|size|plane|value) than (its|the|that)\b": "a different ... from ...",
    r"\bsection [A-Z]\.\d": "a section of a document in the repository or of a named paper",
}

# only for texts that users read while they work: the panel, the command line, errors
IN_TEXTS = {
    r"\bThere is no [a-z ]*'\{": "The file '...' was not found; '...' does not exist",
    r"\blabels? of the project\b": "structure(s) of the project",
    r"\bproject's labels\b": "the project's structures",
    r"\bnames no (label|structure|case)\b": "is not a valid ...",
    r"\b(R|r)ound \S+ was trained\b": "has been trained",
    r"\b[Nn]o round was trained\b": "has been trained",
    r"\bverdicts? bears?\b": "carry",
    r"\bmay be (run|written to)\b": "is executable, is writable",
    r"\bwaits? for review\b": "is waiting for review",
    r"\bas asked\b(?!:)": "as requested",
    r"\b(Make|make) (a|the|or open a) project\b": "create a project",
}

# the library does not know who shows its texts
IN_LIBRARY = {
    r"\bthe panel\b": "say it without the user interface; the panel has its own hints",
    r"\b(P|p)ress (?!Ctrl)": "say what to do, not which button to press",
    r"\bin section \d": "say it without the user interface",
    r"\bbutton\b": "say what to do, not which button to press",
    r"\bon the page \w+": "say it without the user interface",
}

Found = tuple[int, str, str]


def literals(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a module but its docstrings, joined as Python joins them."""
    skipped = set()  # docstrings, and the parts of f-strings: ast.walk comes to the whole first
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            skipped.update(ast.iter_child_nodes(node))
            parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
            yield node.lineno, "".join(parts)
        elif isinstance(getattr(node, "value", None), str) and node not in skipped:
            yield node.lineno, node.value


def texts_of_form(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of everything that a .ui file shows."""
    for match in re.finditer(r"<string[^>]*>([^<]*)</string>", source):
        yield source.count("\n", 0, match.start()) + 1, html.unescape(match.group(1))


def paragraphs(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every paragraph of a document, code blocks left out."""
    start, lines = 1, []
    for number, line in enumerate([*source.splitlines(), ""], 1):
        if line.strip() and not line.startswith("    "):
            start = start if lines else number
            lines.append(line.strip())
        elif lines:
            yield start, "\n".join(lines)
            lines = []


def phrases(texts: Iterator[tuple[int, str]], banned: dict[str, str]) -> list[Found]:
    """Line, phrase and better wording of every banned phrase."""
    spaced = {re.compile(key.replace(" ", r"[ \n]")): better for key, better in banned.items()}
    return [
        (line + text.count("\n", 0, match.start()), " ".join(match.group(0).split()), better)
        for line, text in texts
        if " " in text
        for pattern, better in spaced.items()
        for match in pattern.finditer(text)
    ]


def files(*patterns: str) -> list[Path]:
    found = sorted({path for pattern in patterns for path in ROOT.glob(pattern)})
    assert found, patterns
    return found


PARTS = {
    "panel": (files("PseudoLabelCL/**/*.py"), literals, ANYWHERE | IN_TEXTS),
    "library": (files("PseudoLabelCLLib/**/*.py"), literals, ANYWHERE | IN_TEXTS | IN_LIBRARY),
    "forms": (files("Resources/UI/*.ui"), texts_of_form, ANYWHERE | IN_TEXTS),
    "documents": (
        [path for path in files("*.md", "Docs/*.md") if path.name != "glossary.md"],
        paragraphs,
        ANYWHERE,
    ),
}


@pytest.mark.parametrize("part", list(PARTS))
def test_no_text_has_a_phrase_that_was_replaced(part):
    paths, read, banned = PARTS[part]
    told = [
        f"{path.relative_to(ROOT)}:{line}: '{phrase}': better: {better}"
        for path in paths
        for line, phrase, better in phrases(read(path.read_text(encoding="utf-8")), banned)
    ]
    assert not told, "\n".join(told)


def test_a_phrase_is_found_in_strings_that_python_joins_with_its_line():
    source = (
        '"""A docstring: 3-x is no list of slices."""\n'
        "raise ValueError(\n"
        "    f\"'{text}' is no \"\n"
        '    "list of slices.", "Mend that."\n'
        ")\n"
    )
    assert phrases(literals(source), ANYWHERE) == [
        (3, "is no list", "is not a (valid) ..."),
        (4, "Mend", "fix"),
    ]


def test_a_phrase_is_found_in_a_form_and_across_the_lines_of_a_document():
    form = '<widget>\n<string>&lt;b&gt;Train all the same</string>\n<string notr="true">x</string>'
    assert phrases(texts_of_form(form), ANYWHERE) == [(2, "all the same", "anyway")]
    document = "# Title\n\nThe volume is none\nof the cases.\n\n    is none of the code\n"
    assert phrases(paragraphs(document), ANYWHERE) == [(3, "is none of the", "is not one of ...")]
    assert phrases(paragraphs("One.\nIt is no\nlist.\n"), ANYWHERE)[0][0] == 2


def test_a_text_of_the_library_that_names_the_panel_is_found():
    banned = IN_LIBRARY
    assert phrases(literals('SAY = "Press Install in the panel."'), banned)[0][1] == "the panel"
    assert not phrases(literals('SAY = "press Ctrl-C again to stop at once"'), banned)
