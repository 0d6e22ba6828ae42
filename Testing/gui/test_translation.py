"""Translation: Slicer's translator with the caller's context, or the text as it is written."""

import ast
from pathlib import Path

import pytest
from PseudoLabelCLGui import translation
from PseudoLabelCLGui.translation import _, forget_translator, use_translator

GUI = Path(translation.__file__).parent
PLAIN = [*sorted((GUI / "presenter").rglob("*.py"))]


@pytest.fixture
def german():
    """Slicer's two functions with a dictionary of one context."""
    words = {
        ("test_translation", "Train"): "Trainieren",
        ("test_translation", "{count} files"): "{anzahl} Dateien",
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
