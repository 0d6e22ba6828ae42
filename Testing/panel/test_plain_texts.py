"""Names from elsewhere may look like markup: the panel shows them letter by letter."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import panel_states as states
import pytest
from a_panel import RESOURCES
from PseudoLabelCLGui.panel_state import Action, Light, Message, PanelState
from PySide6 import QtGui

SECTIONS = Path(__file__).parents[2] / "PseudoLabelCL" / "PseudoLabelCLGui" / "sections"
NAME = "<img src='x'><b>a&amp;b</b>"


def as_shown(tip):
    """What a person reads where Qt shows this text."""
    if not QtGui.Qt.mightBeRichText(tip):
        return tip
    page = QtGui.QTextDocument()
    page.setHtml(tip)
    return page.toPlainText()


@pytest.mark.parametrize("text", [NAME, f"{NAME}\n  two  spaces\n", "a < b", "a & b", "x\ny"])
def test_a_text_is_read_as_it_is_written(app, text):
    from PseudoLabelCLGui.sections.parts.plain_text import plain  # noqa: PLC0415 - as in Slicer

    assert as_shown(plain(text)).rstrip("\n") == text.rstrip("\n")


def test_a_text_without_tags_stays_as_it_is(app):
    from PseudoLabelCLGui.sections.parts.plain_text import plain  # noqa: PLC0415 - as in Slicer

    assert plain("Adds volumes & cases.\nTwo lines.") == "Adds volumes & cases.\nTwo lines."


def test_tips_of_cases_and_messages_show_tags_as_text(a_panel):
    shown = states.REVIEW
    first = shown.cases.rows[0]
    cells = (NAME, *first.cells[1:])
    row = replace(first, case_id=NAME, cells=cells, tool_tip=f"/data/{NAME}\nDICOM")
    message = Message(Light.AMBER, f"'{NAME}' is odd.", f"Look at '{NAME}'.")
    rows = (row, *shown.cases.rows[1:])
    a_panel.show(replace(shown, cases=replace(shown.cases, rows=rows), message=message))
    table = a_panel.widget("caseTable")
    assert as_shown(table.item(0, 0).toolTip()).startswith(f"{NAME}\n/data/{NAME}\n")
    assert as_shown(a_panel.widget("messageLabel").toolTip()) == f"'{NAME}' is odd."
    assert a_panel.widget("messageLabel").text() == f"'{NAME}' is odd."


def test_tips_of_buttons_and_recent_projects_show_tags_as_text(a_panel):
    state = PanelState()
    project = replace(state.project, open=Action(True, "", NAME), recent=(f"/{NAME}",))
    a_panel.show(replace(state, project=project))
    assert as_shown(a_panel.widget("openProjectButton").toolTip()) == NAME
    assert as_shown(a_panel.widget("recentList").item(0).toolTip()) == f"/{NAME}"


def test_dialogs_show_tags_as_text(app, answers):
    from PseudoLabelCLGui.sections.parts.asking import confirm  # noqa: PLC0415 - as in Slicer

    answers.confirms = [False]
    confirm(f"Remove '{NAME}'?")
    assert as_shown(answers.asked[-1]) == f"Remove '{NAME}'?"


def test_no_tip_is_set_past_the_place_that_makes_it_plain():
    found = []
    for path in SECTIONS.rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            sets = re.search(r"\.toolTip = |\.setToolTip\(", line)
            is_made_plain_above = path.name == "showing.py" and line.endswith("= tip")
            if sets and not line[sets.end() :].startswith("plain(") and not is_made_plain_above:
                found.append(f"{path.name}: {line.strip()}")
    assert found == []


def test_labels_whose_text_is_not_in_the_form_are_plain():
    form = ET.parse(RESOURCES / "UI" / "PseudoLabelCL.ui")
    for label in (one for one in form.iter("widget") if one.get("class") == "QLabel"):
        values = {one.get("name"): "".join(one.itertext()).strip() for one in label}
        is_fixed = bool(values.get("text")) and not values["text"].startswith("No ")
        is_picture = label.get("name").endswith("Light")
        is_plain = values.get("textFormat") == "Qt::PlainText"
        assert is_plain or is_fixed or is_picture, label.get("name")
