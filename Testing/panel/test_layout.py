"""Every step fits into 400 x 620 pixels; nothing overlaps or is crushed, also with large type."""

from xml.etree import ElementTree as ET

import pytest
from a_panel import PANEL_HEIGHT, PANEL_WIDTH, RESOURCES, APanel, RecordingPresenter
from layout_states import EVERYTHING
from PySide6 import QtCore, QtGui, QtWidgets
from stand_ins.pythonqt import unwrap

# What the head, the steps and the foot have to leave to a page on the smallest screen.
SMALL_HEIGHT = 440
# What Slicer leaves to the panel on a laptop's screen at 125 %: it scrolls as a whole.
LEAST_HEIGHT = 300
# Of the panel on a large screen, where lists get more room than they ask for.
LARGE_HEIGHT = 1000
SCALES = (1.0, 1.25, 1.5)
LARGEST = SCALES[-1]
# Parts of larger widgets that Qt lays out by itself.
LEAVES = (
    QtWidgets.QAbstractButton, QtWidgets.QLabel, QtWidgets.QComboBox, QtWidgets.QLineEdit,
    QtWidgets.QAbstractItemView, QtWidgets.QProgressBar, QtWidgets.QPlainTextEdit,
    QtWidgets.QAbstractSpinBox,
)  # fmt: skip
# Frame and margin of a button, which may be narrower than Qt proposes.
AROUND_TEXT = 8
# Texts in these are cut on purpose, and stand in the tool tip.
CUT = {"projectLabel", "statusLabel", "doneLabel", "nextThingButton"}


@pytest.fixture(params=SCALES, ids=lambda scale: f"type x {scale}")
def scale(request, app):
    application = QtWidgets.QApplication.instance()
    application.setStyle("Fusion")
    before = application.font()
    font = QtGui.QFont(before)
    font.setPointSizeF(before.pointSizeF() * request.param)
    application.setFont(font)
    yield request.param
    application.setFont(before)


def show(panel, name, height=PANEL_HEIGHT):
    shown = EVERYTHING[name]
    reset(panel)
    panel.show(shown.state)
    panel.panel._steps.open(shown.page)
    shown.prepare(panel)
    panel.module_widget.window.resize(panel.module_widget.width, height)
    for _ in range(3):
        panel.settle()
        panel.tick()
    return shown


def reset(panel):
    """Let nothing of what was shown before be left."""
    for toggle in ("add", "structures", "advanced", "history", "log"):
        panel.widget(f"{toggle}Toggle").setChecked(False)
    panel.widget("curveToggle").setChecked(True)
    panel.ui.segmentEditor.setActiveEffect(None)
    panel.ui.editorFrame.setVisible(False)
    panel.widget("foundBox").setVisible(False)
    panel.widget("segmentChoiceButton").click()


def leaves(panel):
    """The visible widgets that show something, without those that a larger one is made of."""
    top = unwrap(panel.panel.top)
    found = [
        one
        for one in top.findChildren(QtWidgets.QWidget)
        if isinstance(one, LEAVES)
        and one.isVisible()
        and one.objectName()
        and not one.objectName().startswith("qt_")
    ]
    return [
        one
        for one in found
        if not any(other is not one and other.isAncestorOf(one) for other in found)
    ]


def place(widget, top):
    return QtCore.QRect(widget.mapTo(top, QtCore.QPoint(0, 0)), widget.size())


def needed_height(page, width):
    content = page.widget()
    wrapped = content.heightForWidth(width)
    return max(wrapped, content.minimumSizeHint().height())


def overlaps(panel):
    """What lies over something else."""
    top, shown = unwrap(panel.panel.top), leaves(panel)
    for number, one in enumerate(shown):
        for other in shown[:number]:
            is_beside = one.parent() is other.parent()
            if is_beside and place(one, top).intersects(place(other, top)):
                yield f"{one.objectName()} over {other.objectName()}"


def crushed(panel):
    """What is smaller than it must be."""
    for one in leaves(panel):
        least = one.minimumSizeHint()
        needs = one.heightForWidth(one.width()) if one.hasHeightForWidth() else least.height()
        if isinstance(one, QtWidgets.QAbstractScrollArea) and one.minimumHeight():
            needs = one.minimumHeight()  # it scrolls
        if one.height() < min(needs, one.maximumHeight()):
            yield f"{one.objectName()}: {one.height()} of {needs} pixels high"
        is_cut = one.objectName() in CUT or one.hasHeightForWidth()
        wide = 0 if is_cut else min(least.width(), one.maximumWidth())
        if isinstance(one, QtWidgets.QAbstractButton) and one.minimumWidth():
            wide = min(wide, one.fontMetrics().horizontalAdvance(one.text()) + AROUND_TEXT)
        if one.width() < wide:
            yield f"{one.objectName()}: {one.width()} of {wide} pixels wide"


def beyond(panel):
    """What reaches beyond the right edge; a brush's options can be scrolled."""
    top, scrolled = unwrap(panel.panel.top), panel.widget("editorArea")
    for one in leaves(panel):
        right = place(one, top).right()
        if not scrolled.isAncestorOf(one) and right >= PANEL_WIDTH:
            yield f"{one.objectName()} ends at {right}"


def out_of_sight(panel):
    """What of head and foot cannot be seen, and an area that scrolls as a whole or is wider."""
    view = panel.module_widget.window.viewport()
    for name in ("headFrame", "stepsFrame", "footFrame"):
        if not view.rect().contains(place(panel.widget(name), view)):
            yield f"{name} is out of sight"
    if panel.module_widget.width != PANEL_WIDTH:
        yield f"{panel.module_widget.width} pixels wide"


def too_high(panel, shown):
    """How much of a page lies below the fold, with type of the usual size."""
    page = panel.widget(f"{shown.page}Page")
    content, view = page.widget(), page.viewport()
    missing = max(content.heightForWidth(view.width()), content.minimumSizeHint().height())
    if missing > view.height():
        yield f"{missing - view.height()} pixels too high"


def test_every_step_fits_and_nothing_overlaps_or_is_crushed(app, answers, scale):
    panel = APanel(RecordingPresenter, answers)
    found = []
    for name in EVERYTHING:
        shown = show(panel, name)
        told = [*overlaps(panel)]
        # with type half as large again 400 pixels cut some texts; their tool tips have them
        told += [*crushed(panel), *beyond(panel)] if scale < LARGEST else []
        if scale == 1.0 and not shown.may_be_higher:
            told += too_high(panel, shown)
        show(panel, name, SMALL_HEIGHT)
        told += [*overlaps(panel), *out_of_sight(panel)]
        told += crushed(panel) if scale < LARGEST else []
        show(panel, name, LEAST_HEIGHT)
        told += overlaps(panel)
        # the scroll bar takes of the width
        told += [one for one in crushed(panel) if "high" in one]
        show(panel, name, LARGE_HEIGHT)
        told += overlaps(panel)
        told += crushed(panel) if scale < LARGEST else []
        found += [f"{name}: {one}" for one in told]
    panel.close()
    assert "\n".join(found) == ""


def test_taking_a_brush_does_not_change_the_width(app, answers):
    panel = APanel(RecordingPresenter, answers)
    show(panel, "review-shown")
    before = panel.module_widget.width
    show(panel, "review-editing")
    assert panel.module_widget.width == before
    content, page = panel.widget("reviewContent"), panel.widget("reviewPage")
    assert content.width() == page.viewport().width()
    panel.close()


def test_opening_a_step_begins_at_its_top(a_panel):
    show(a_panel, "review-editing", SMALL_HEIGHT)
    bar = a_panel.widget("reviewPage").verticalScrollBar()
    bar.setValue(bar.maximum())
    assert bar.value() > 0
    a_panel.click("trainStepButton")
    a_panel.click("reviewStepButton")
    assert bar.value() == 0


def test_names_take_the_width_of_a_table_and_empty_columns_are_hidden(a_panel):
    show(a_panel, "cases-long-names")
    table = a_panel.widget("caseTable")
    assert table.columnWidth(0) > table.viewport().width() / 3
    assert table.isColumnHidden(3)  # no case has a doubt yet
    assert table.textElideMode() is QtCore.Qt.TextElideMode.ElideMiddle
    assert "1.2.840.113619.2.55" in table.item(0, 0).toolTip()


def test_a_folded_part_leaves_nothing_behind(a_panel):
    show(a_panel, "train")
    before = a_panel.widget("trainContent").layout().sizeHint().height()
    a_panel.click("advancedToggle")
    assert a_panel.widget("trainContent").layout().sizeHint().height() > before + 50
    a_panel.click("advancedToggle")
    a_panel.click("curveToggle")
    assert a_panel.widget("trainContent").layout().sizeHint().height() == before
    assert not a_panel.widget("advancedFrame").isVisible()


def test_no_text_of_the_panel_names_a_section_by_number(a_panel):
    top = unwrap(a_panel.panel.top)
    texts = [
        text
        for one in top.findChildren(QtWidgets.QWidget)
        for text in (one.toolTip(), str(one.property("text") or ""))
    ]
    assert not [text for text in texts if "section" in text.lower()]


def test_every_item_of_a_layout_has_its_share_of_the_room():
    # a list that is too short gives the share of one item to the item before it
    root = ET.parse(RESOURCES / "UI" / "PseudoLabelCL.ui").getroot()
    layouts = [one for one in root.iter("layout") if one.get("stretch")]
    shares = {one.get("name"): len(one.get("stretch").split(",")) for one in layouts}
    assert len(shares) > 10
    assert shares == {one.get("name"): len(one.findall("item")) for one in layouts}
