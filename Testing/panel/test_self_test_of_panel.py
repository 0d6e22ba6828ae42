"""The part of Slicer's self-test that looks at the panel: what is well passes, a fault is told."""

import gc
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import panel_states as states
import pytest
from a_panel import APanel, NoPackages, RecordingPresenter
from PseudoLabelCLGui.panel_state import Action, Curve
from PseudoLabelCLGui.presenter import Presenter
from PseudoLabelCLGui.self_test.curves import check_curves
from PseudoLabelCLGui.self_test.layout import LayoutTest, layout_faults
from PseudoLabelCLGui.self_test.panel import PanelTest
from PseudoLabelCLGui.self_test.rounds import RoundsTest
from PseudoLabelCLGui.self_test.shared import PanelUnderTest
from PySide6 import QtWidgets
from stand_ins.pythonqt import unwrap, wrap


class ThisPython(NoPackages):
    """The interpreter that runs now."""

    def default_python(self):
        return Path(sys.executable)


class QuickPresenter(RecordingPresenter):
    """Has a project at once, and the files of a case one tick later."""

    folder: Path
    wanted: str = ""
    shown: str = ""
    num_ticks_left = 0
    round_index = 1

    def project_make_sample(self, _folder):
        first, *_ = states.OPEN.cases.rows
        rows = tuple(replace(first, case_id=f"heart {number}") for number in range(1, 6))
        self.state = replace(states.OPEN, cases=replace(states.OPEN.cases, rows=rows))

    def project_open(self, _root):
        self.project_make_sample("")

    def review_show_case(self, case_id):
        self.leave()
        self.wanted, self.num_ticks_left = case_id, 2

    def tick(self):
        self.num_ticks_left -= 1
        if self.num_ticks_left == 0 and self.wanted:
            self.shown, self.wanted = self.wanted, ""
            files = states.phantom_files(self.folder, self.shown, self.round_index)
            self.listeners.on_case_files(files)
        return super().tick()

    def project_close(self):
        self.leave()
        self.state = states.NEW

    def leave(self):
        shown, self.shown = self.shown, ""
        if shown:
            self.listeners.on_case_left(shown, False)


class RoundsPresenter(QuickPresenter):
    """Trains a round within some ticks; leaves the shown case when one begins and when it ends."""

    verdicts: dict
    num_rounds = 0
    num_ticks_to_train = -1
    is_edited = False
    leaves_at_end = True
    judges_in_training = False

    def project_make_sample(self, folder):
        super().project_make_sample(folder)
        self.verdicts = {}
        self.show_state()

    def train_change_setting(self, name, value):
        settings = {**self.state.train.settings, name: value}
        self.state = replace(self.state, train=replace(self.state.train, settings=settings))

    def train_start(self, *_rounds):
        self.leave()
        self.num_ticks_to_train = 60
        self.show_state()

    def review_case_is_edited(self, is_edited):
        self.is_edited = is_edited
        self.show_state()

    def review_case_is_on_screen(self, _files):
        self.show_state()

    def review_accept(self, _left_out):
        self.verdicts[self.shown] = "corrected" if self.is_edited else "accepted"
        self.listeners.on_verdict_saved((self.shown,))
        self.show_state()

    def leave(self):
        super().leave()
        self.is_edited = False

    def tick(self):
        self.num_ticks_to_train -= 1
        if self.num_ticks_to_train == 0:
            self.num_rounds += 1
            self.verdicts = {}
            if self.leaves_at_end:
                self.leave()
            self.show_state()
        return super().tick()

    def show_state(self):
        trains = self.num_ticks_to_train > 0
        if not trains and not self.shown:
            self.round_index = self.num_rounds - 1
        case_ids = ("heart 4", "heart 3", "heart 6") if self.num_rounds and not trains else ()
        may = Action(
            enabled=bool(self.shown) and (not trains or self.judges_in_training),
            text="Save correction" if self.is_edited else "Accept",
        )
        rounds = tuple(float(n) for n in range(self.num_rounds))
        rows = tuple(replace(states.REVIEW.rounds.rows[0], index=int(n)) for n in rounds)
        curve = Curve("loss", (0.0, 4.0, 7.0), (9.0, 3.0, 2.5)) if rows else Curve("loss")
        self.state = replace(
            self.state,
            train=replace(self.state.train, is_running=trains, loss=curve),
            rounds=replace(
                self.state.rounds,
                rows=rows,
                quality=Curve("Dice", rounds, tuple(0.5 for _ in rounds)),
            ),
            review=replace(
                self.state.review,
                queue=tuple(
                    replace(states.QUEUE[0], case_id=case, verdict=self.verdicts.get(case, ""))
                    for case in case_ids
                ),
                case_id=self.shown,
                identity=states.identity_of(self.shown, self.round_index) if self.shown else None,
                accept=may,
                reject=may,
            ),
        )
        self.has_changed = True


def wait(condition, limit_s):
    deadline_s = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline_s:
        QtWidgets.QApplication.processEvents()
        time.sleep(0.01)


def module_widget_of(a_panel):
    panel = a_panel.panel
    return SimpleNamespace(panel=panel, enter=panel.enter, exit=panel.exit)


def panel_test_of(a_panel, folder):
    return PanelTest(module_widget_of(a_panel), folder, [].append, wait)


def under_test(a_panel, folder, say):
    return PanelUnderTest(module_widget_of(a_panel), folder, say, wait)


@pytest.fixture
def quick(app, monkeypatch):
    """Nobody waits for what does not come, nor for what is there; buttons as in Slicer's style."""
    QtWidgets.QApplication.instance().setStyle("Fusion")
    monkeypatch.setattr("PseudoLabelCLGui.self_test.shared.QUICK_S", 5.0)
    monkeypatch.setattr("PseudoLabelCLGui.self_test.rounds.SLOW_S", 10.0)
    monkeypatch.setattr("PseudoLabelCLGui.self_test.shared.SETTLED_S", 0.2)
    monkeypatch.setattr("PseudoLabelCLGui.sections.train.plots._REDRAW_EVERY_S", 0.0)


@pytest.fixture
def quick_panel(quick, answers, tmp_path):
    panel = APanel(QuickPresenter, answers)
    panel.presenter.folder = tmp_path
    panel.show(states.NEW)
    yield panel
    panel.close()


@pytest.fixture
def rounds_panel(quick, answers, tmp_path):
    panel = APanel(RoundsPresenter, answers)
    panel.presenter.folder = tmp_path
    panel.show(states.NEW)
    yield panel
    panel.close()


@pytest.fixture
def stored(monkeypatch):
    """What was compared with the disk."""
    compared = []
    monkeypatch.setattr(
        "PseudoLabelCLGui.self_test.rounds.check_stored",
        lambda _root, seen, verdict: compared.append((seen.identity, verdict.value)),
    )
    return compared


def rounds_test_of(panel, folder, said):
    tested = under_test(panel, folder, said.append)
    return RoundsTest(tested, LayoutTest(tested))


@pytest.mark.slow
@pytest.mark.long
def test_the_panel_with_its_service_and_worker_passes(app, answers, tmp_path):
    panel = APanel(Presenter, answers, ThisPython())
    try:
        panel_test_of(panel, tmp_path / "project").run()
    finally:
        panel.close()
        for child in [one for one in gc.get_objects() if type(one) is subprocess.Popen]:
            with child:  # the worker of the last round may still be ending
                child.kill()


def test_a_panel_that_works_passes(quick_panel, tmp_path):
    panel_test_of(quick_panel, tmp_path).run(trains=False)


@pytest.mark.parametrize("name", ["setSourceVolumeNode", "setActiveEffectByName"])
def test_an_editor_that_does_not_follow_is_told(quick_panel, tmp_path, name, monkeypatch):
    monkeypatch.setattr(unwrap(quick_panel.ui.segmentEditor), name, lambda *_: None)
    with pytest.raises(AssertionError, match=r"no source volume|gave no brush"):
        panel_test_of(quick_panel, tmp_path).run(trains=False)


def test_a_view_that_shows_something_else_is_told(quick_panel, tmp_path, monkeypatch):
    monkeypatch.setattr("PseudoLabelCLGui.slice_views.Stage.showCase", lambda *_: None)
    monkeypatch.setattr(
        "PseudoLabelCLGui.self_test.scene.OtherSegmentations.check_hidden", lambda _self: None
    )
    with pytest.raises(AssertionError, match="View Red shows 'None'"):
        panel_test_of(quick_panel, tmp_path).run(trains=False)


def test_an_error_in_the_panel_is_told(quick_panel, tmp_path, monkeypatch):
    editor = unwrap(quick_panel.ui.segmentEditor)
    monkeypatch.setattr(editor, "setupViewObservations", lambda: 1 / 0, raising=False)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        panel_test_of(quick_panel, tmp_path).run(trains=False)


def test_a_segmentation_that_lies_over_the_case_is_told(quick_panel, tmp_path, monkeypatch):
    monkeypatch.setattr("PseudoLabelCLGui.slice_views.Stage.hideOthers", lambda _self: None)
    with pytest.raises(AssertionError, match=r"'Other, as it comes' lies over the case"):
        panel_test_of(quick_panel, tmp_path).run(trains=False)


def test_a_segmentation_that_does_not_come_back_is_told(quick_panel, tmp_path, monkeypatch):
    monkeypatch.setattr("PseudoLabelCLGui.slice_views.Stage.restore", lambda _self: None)
    with pytest.raises(AssertionError, match="'Other, as it comes' did not come back as it was"):
        panel_test_of(quick_panel, tmp_path).run(trains=False)


@pytest.mark.long
def test_rounds_of_a_panel_that_works_pass(rounds_panel, tmp_path, stored):
    said = []
    rounds_test_of(rounds_panel, tmp_path, said).run()
    assert "Round 0's proposal of 'heart 4' is shown while round 1 is trained." in said
    of_round_1 = [states.identity_of(case, 1) for case in ("heart 4", "heart 3")]
    assert stored == list(zip(of_round_1, ("accepted", "corrected"), strict=True))


@pytest.mark.long
def test_a_verdict_on_the_proposal_of_a_round_before_is_told(rounds_panel, tmp_path, stored):
    rounds_panel.presenter.leaves_at_end = False
    with pytest.raises(AssertionError, match=r"round_index=0.*, and the newest round is 1"):
        rounds_test_of(rounds_panel, tmp_path, []).run()
    assert stored == []


@pytest.mark.long
def test_a_verdict_during_training_is_told(rounds_panel, tmp_path, stored):
    rounds_panel.presenter.judges_in_training = True
    with pytest.raises(AssertionError, match="possible while a round is trained"):
        rounds_test_of(rounds_panel, tmp_path, []).run()


@pytest.mark.long
def test_a_case_that_stays_when_a_round_begins_is_told(rounds_panel, tmp_path, monkeypatch):
    rounds_panel.presenter.leaves_at_end = False
    monkeypatch.setattr(RoundsPresenter, "leave", lambda self: None)
    with pytest.raises(AssertionError, match="the case was left when the round began"):
        rounds_test_of(rounds_panel, tmp_path, []).run()


def boxes(*places):
    """A widget with others at places (x, y, width, height) in it."""
    parent = QtWidgets.QWidget()
    parent.resize(200, 200)
    for number, place in enumerate(places):
        child = QtWidgets.QWidget(parent)
        child.setObjectName(f"box {number}")
        child.setGeometry(*place)
    parent.show()
    return parent


def test_what_overlaps_or_is_crushed_is_told(app):
    parent = boxes((0, 0, 50, 50), (40, 40, 50, 50), (100, 100, 20, 20))
    assert list(layout_faults(wrap(parent))) == ["box 0 overlaps box 1"]
    button = QtWidgets.QPushButton("Train the round", parent)
    button.setGeometry(0, 120, 90, 5)
    button.show()
    told = list(layout_faults(wrap(parent)))
    assert any(one.startswith("QPushButton is 5 pixels high and needs ") for one in told)


def test_a_button_that_cuts_its_words_is_told(app):
    parent = boxes()
    button = QtWidgets.QPushButton("Train", parent)
    button.setMinimumWidth(30)
    button.setGeometry(0, 0, 70, 40)  # Qt proposes 80
    button.show()
    assert list(layout_faults(wrap(parent))) == []
    button.setText("Train the round after the next one")
    assert list(layout_faults(wrap(parent))) == [
        "QPushButton is 70 pixels wide and cuts 'Train the round after the next one'"
    ]


def test_a_panel_that_is_crushed_is_told(quick_panel, tmp_path):
    quick_panel.widget("stepsFrame").setFixedHeight(3)
    with pytest.raises(AssertionError, match=r"layout of 'cases' \(.*3 pixels high"):
        panel_test_of(quick_panel, tmp_path).run(trains=False)


def test_a_foot_that_is_out_of_sight_is_told(quick_panel, tmp_path):
    quick_panel.widget("stepsFrame").setMinimumHeight(700)
    with pytest.raises(AssertionError, match="footFrame reaches beyond"):
        panel_test_of(quick_panel, tmp_path).run(trains=False)


def show_curves(panel, loss):
    train = replace(states.TRAINING.train, loss=loss, validation=Curve("Dice", (3.0,), (0.4,)))
    panel.show(replace(states.TRAINING, train=train))
    return panel.ui.trainingPlot


def test_curves_are_counted(a_panel):
    plot = show_curves(a_panel, Curve("loss", (0.0, 5.0, 7.0), (4.0, 2.0, float("nan"))))
    assert check_curves(plot, "The curve") == 4
    assert check_curves(a_panel.ui.qualityPlot, "No curve") == 0


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("SetXAxisRange", (0.0, 5.0), "the x axis goes from 0 to 5, and its points from 0 to 7"),
        ("SetYAxisRange", (0.0, 1.0), "the y axis goes from 0 to 1, and its points from 2 to 4"),
        ("SetYAxisRange", (4.0, 4.0000001), "the y axis goes from 4 to 4"),
        ("SetXAxisRange", (0.0, 700.0), ""),
    ],
)
def test_an_axis_that_leaves_points_out_is_told(a_panel, name, arguments, told):
    plot = show_curves(a_panel, Curve("loss", (0.0, 5.0, 7.0), (4.0, 2.0, 3.0)))
    getattr(plot.mrmlPlotViewNode().GetPlotChartNode(), name)(*arguments)
    if told:
        with pytest.raises(AssertionError, match=told):
            check_curves(plot, "The curve")
    else:
        check_curves(plot, "The curve")


def test_ticks_between_whole_numbers_are_told(a_panel, monkeypatch):
    monkeypatch.setattr(
        "PseudoLabelCLGui.sections.train.plots.whole_ticks", lambda _x: (0.0, 3.5, 7.0)
    )
    plot = show_curves(a_panel, Curve("loss", (0.0, 5.0, 7.0), (4.0, 2.0, 3.0)))
    with pytest.raises(AssertionError, match="the ticks of the x axis are"):
        check_curves(plot, "The curve")


def test_an_axis_that_is_drawn_otherwise_is_told(a_panel):
    plot = show_curves(a_panel, Curve("loss", (0.0, 5.0, 7.0), (4.0, 2.0, 3.0)))
    plot.mrmlPlotViewNode().GetPlotChartNode().SetYAxisRangeAuto(True)
    with pytest.raises(AssertionError, match="an axis is drawn from 2 to 4"):
        check_curves(plot, "The curve")
