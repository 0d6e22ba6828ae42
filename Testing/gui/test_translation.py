"""Translation: Slicer's translator with the caller's context, or the text as it is written."""

import ast
from pathlib import Path

import pytest
from PseudoLabelCLGui import translation
from PseudoLabelCLGui.translation import (
    LIBRARY_CONTEXT,
    _,
    forget_translator,
    translated,
    use_translator,
)

from PseudoLabelCLLib.domain.text import Text, as_clause, counted, joined

GUI = Path(translation.__file__).parent
PLAIN = sorted((GUI / "presenter").rglob("*.py"))


@pytest.fixture
def german():
    """Slicer's two functions with a dictionary of one context."""
    words = {
        ("test_translation", "Train"): "Trainieren",
        ("test_translation", "{count} files"): "{anzahl} Dateien",
        (LIBRARY_CONTEXT, "'{file}' is empty."): "„{file}“ ist leer.",
        (LIBRARY_CONTEXT, "{size:.1f} mm of {file}"): "von {file} {size} mm",
        (LIBRARY_CONTEXT, "Not read: {why}."): "Nicht gelesen: {why}.",
        (LIBRARY_CONTEXT, "the disk is full"): "der Datenträger ist voll",
        (LIBRARY_CONTEXT, "{count} file"): "{count} Datei",
        (LIBRARY_CONTEXT, "{count} files"): "{count} Dateien",
        (LIBRARY_CONTEXT, "Wrong {name}"): "Falsch {name.__class__}",
        (LIBRARY_CONTEXT, "Other {name}"): "Anders {wort}",
    }
    use_translator(lambda file: Path(file).stem, lambda where, text: words.get((where, text), text))
    yield
    forget_translator()


def test_outside_slicer_a_text_stays_as_it_is():
    assert _("Train") == "Train"


def test_inside_a_text_is_looked_up_in_the_context_of_the_calling_file(german):
    assert _("Train") == "Trainieren"
    assert _("Pause") == "Pause"


def test_a_translation_with_other_placeholders_is_not_used(german):
    assert _("{count} files").format(count=3) == "3 files"


def test_a_text_of_the_library_gets_its_values_in_the_place_of_the_language(german):
    assert translated(Text("'{file}' is empty.", file="{a}")) == "„{a}“ ist leer."
    assert translated(Text("{size:.1f} mm of {file}", size=1.25, file="a")) == "von a 1.2 mm"
    assert translated(Text("the disk is full")) == "der Datenträger ist voll"


def test_a_text_within_a_text_is_translated_too(german):
    text = Text("Not read: {why}.", why=Text("the disk is full"))
    assert translated(text) == "Nicht gelesen: der Datenträger ist voll."
    several = joined(counted(1, "{count} file", "{count} files"), text, by="; ")
    assert translated(several) == "1 Datei; Nicht gelesen: der Datenträger ist voll."


def test_a_clause_takes_the_translation_of_its_sentence(german):
    assert translated(as_clause(Text("'{file}' is empty.", file="a"))) == "„a“ ist leer"


@pytest.mark.parametrize("pattern", ["Wrong {name}", "Other {name}", "Unknown {name}"])
def test_a_translation_that_does_not_name_the_values_is_not_used(german, pattern):
    assert translated(Text(pattern, name="x")) == pattern.format(name="x")


def test_outside_slicer_a_text_of_the_library_stays_as_it_is():
    assert translated(Text("'{file}' is empty.", file="a")) == "'a' is empty."


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.stem)
def test_every_text_is_a_literal_that_the_collecting_tool_can_find(path):
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_"
    ]
    for call in calls:
        assert len(call.args) == 1
        assert isinstance(call.args[0], ast.Constant), f"{path.name}, line {call.lineno}"


def test_no_text_is_translated_while_a_file_is_imported():
    # the language is not known yet then
    for path in PLAIN:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                assert not any(
                    isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "_"
                    for n in ast.walk(node)
                ), path.name
