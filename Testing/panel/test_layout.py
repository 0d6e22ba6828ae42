"""Every step fits into 400 x 620 pixels, and nothing overlaps or is crushed, also with large type."""

import pytest
from a_panel import PANEL_HEIGHT, PANEL_WIDTH, APanel, RecordingPresenter
from layout_states import EVERYTHING
from PySide6 import QtCore, QtGui, QtWidgets
from stand_ins.pythonqt import unwrap

# What the head, the steps and the foot have to leave to a page on the smallest screen.
SMALL_HEIGHT = 440
SCALES = (1.0, 1.25, 1.5)
# Parts of larger widgets that Qt lays out by itself.
LEAVES = (
    QtWidgets.QAbstractButton, QtWidgets.QLabel, QtWidgets.QComboBox, QtWidgets.QLineEdit,
    QtWidgets.QAbstractItemView, QtWidgets.QProgressBar, QtWidgets.QPlainTextEdit,
    QtWidgets.QAbstractSpinBox,
)  # fmt: skip
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


@pytest.fixture
def a_sized_panel(app, answers, scale):
    panel = APanel(RecordingPresenter, answers)
    yield panel
    panel.close()


def show(panel, name, height=PANEL_HEIGHT):
    shown = EVERYTHING[name]
    panel.show(shown.state)
    panel.panel._steps.open(shown.page)
    shown.prepare(panel)
    panel.module_widget.window.resize(PANEL_WIDTH, height)
    for _ in range(4):
        panel.settle()
        panel.tick()
    return shown


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
    return [one for one in found if not any(other.isAncestorOf(one) for other in found)]


def place(widget, top):
    return QtCore.QRect(widget.mapTo(top, QtCore.QPoint(0, 0)), widget.size())


def needed_height(page, width):
    content = page.widget()
    wrapped = content.heightForWidth(width)
    return max(wrapped, content.minimumSizeHint().height())


@pytest.mark.parametrize("name", EVERYTHING)
def test_nothing_overlaps_and_nothing_is_smaller_than_it_must_be(a_sized_panel, name):
    show(a_sized_panel, name)
    top = unwrap(a_sized_panel.panel.top)
    shown = leaves(a_sized_panel)
    assert len(shown) > 8
    for number, one in enumerate(shown):
        for other in shown[:number]:
            if one.parent() is other.parent():
                common = place(one, top).intersected(place(other, top))
                assert common.isEmpty(), f"{one.objectName()} over {other.objectName()}"
        least = one.minimumSizeHint()
        needs = one.heightForWidth(one.width()) if one.hasHeightForWidth() else least.height()
        allowed = min(needs, one.maximumHeight())
        assert one.height() >= allowed, f"{one.objectName()}: {one.height()} of {needs} pixels"
        is_cut = one.objectName() in CUT or one.hasHeightForWidth()
        if not is_cut:
            wide = min(least.width(), one.maximumWidth())
            assert one.width() >= wide, f"{one.objectName()}: {one.width()} of {wide} wide"


@pytest.mark.parametrize("name", EVERYTHING)
def test_nothing_reaches_beyond_the_right_edge(a_sized_panel, name):
    show(a_sized_panel, name)
    top = unwrap(a_sized_panel.panel.top)
    scrolled = unwrap(a_sized_panel.ui.editorArea)
    for one in leaves(a_sized_panel):
        if not scrolled.isAncestorOf(one):
            assert place(one, top).right() < PANEL_WIDTH, one.objectName()


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_panel_is_never_wider_and_its_area_never_scrolls(a_sized_panel, name):
    show(a_sized_panel, name, SMALL_HEIGHT)
    assert a_sized_panel.module_widget.width == PANEL_WIDTH
    assert a_sized_panel.module_widget.window.verticalScrollBar().maximum() == 0


@pytest.mark.parametrize("name", [n for n, one in EVERYTHING.items() if not one.may_be_higher])
def test_a_step_needs_no_more_than_620_pixels(app, answers, name):
    QtWidgets.QApplication.instance().setStyle("Fusion")
    panel = APanel(RecordingPresenter, answers)
    shown = show(panel, name)
    page = panel.widget(f"{shown.page}Page")
    missing = needed_height(page, page.viewport().width()) - page.viewport().height()
    assert missing <= 0, f"{missing} pixels too high"
    panel.close()


@pytest.mark.parametrize("name", EVERYTHING)
def test_head_and_foot_are_in_sight_on_a_small_screen(app, answers, name):
    panel = APanel(RecordingPresenter, answers)
    show(panel, name, SMALL_HEIGHT)
    window = panel.module_widget.window.viewport()
    for part in ("headFrame", "stepsFrame", "footFrame"):
        widget = panel.widget(part)
        assert window.rect().contains(place(widget, window)), part
    panel.close()


def test_taking_a_brush_does_not_change_the_width(app, answers):
    panel = APanel(RecordingPresenter, answers)
    show(panel, "review-shown")
    before = panel.widget("reviewContent").width(), panel.module_widget.width
    show(panel, "review-editing")
    assert (panel.widget("reviewContent").width(), panel.module_widget.width) == before
    panel.close()


def test_opening_a_step_begins_at_its_top(a_panel):
    show(a_panel, "review-editing")
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
    assert a_panel.widget("trainContent").layout().sizeHint().height() > before
    a_panel.click("advancedToggle")
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
