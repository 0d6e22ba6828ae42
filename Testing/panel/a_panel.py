"""A panel for tests: built as in Slicer, driven by clicks, with a presenter that remembers."""

import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PseudoLabelCLGui.panel_state import PanelState
from PseudoLabelCLGui.presenter import Listeners, Presenter
from PySide6 import QtCore, QtTest, QtWidgets
from stand_ins.application import Answers
from stand_ins.pythonqt import unwrap, wrap

RESOURCES = Path(__file__).resolve().parents[2] / "Resources"
PANEL_WIDTH = 400
PANEL_HEIGHT = 620
# What the panel tells whatever a person does.
_ALWAYS_TOLD = (
    "readiness.probe", "enter_module", "leave_module", "review.case_is_on_screen",
    "review.scene_is_closed", "project.withdraw",
)  # fmt: skip


class NoPackages:
    """Interpreters that nobody looks at."""

    def __init__(self) -> None:
        self.probed: list[Any] = []
        self.installed: list[Any] = []
        self.missing: Any = None

    def default_python(self) -> Path:
        return Path("python")

    def child_environment(self, _python: Path) -> dict[str, str]:
        return {}

    def probe(self, on_report: Any, **named: Any) -> None:
        self.probed.append((on_report, named))

    def what_is_missing(self, _report: Any) -> Any:
        return self.missing

    def install(self, report: Any, on_progress: Any) -> None:
        self.installed.append((report, on_progress))

    def stop(self) -> None:
        """Nothing runs."""


class RecordingPart:
    """A part of the presenter that remembers every call, such as `presenter.review`.

    Args:
        presenter: Whose calls they are; a method of it such as `review_accept` is called in place
            of remembering.
        name: The part's name.
        part: The real one: only its actions can be called.
    """

    def __init__(self, presenter: "RecordingPresenter", name: str, part: Any) -> None:
        self._presenter, self._name, self._part = presenter, name, part

    def __getattr__(self, action: str) -> Any:
        if action.startswith("_") or not hasattr(self._part, action):
            raise AttributeError(f"the presenter has no '{self._name}.{action}'")
        own = getattr(self._presenter, f"{self._name}_{action}", None)
        return own or self._presenter.remembering(f"{self._name}.{action}")


class RecordingPresenter:
    """Remembers every call; shows the state that a test gives it."""

    def __init__(self, start_service: Any, start_worker: Any, *, scene: Any, recent: Any) -> None:
        self.listeners = Listeners()
        self.starters = (start_service, start_worker)
        self.scene = scene
        self.recent = recent
        self.state = PanelState()
        self.calls: list[tuple[Any, ...]] = []
        self.has_changed = False
        for name, part in vars(Presenter(start_service, start_worker, scene=scene)).items():
            if not name.startswith("_") and name != "listeners":
                setattr(self, name, RecordingPart(self, name, part))
        self.review.edit = 0

    def tick(self) -> bool:
        changed, self.has_changed = self.has_changed, False
        return changed

    def remembering(self, name: str) -> Any:
        """What stands for an action."""

        def remember(*arguments: Any, **named: Any) -> None:
            self.calls.append((name, *arguments, *named.values()))

        return remember

    def __getattr__(self, name: str) -> Any:
        if not hasattr(Presenter, name) or name.startswith("_"):
            raise AttributeError(f"the presenter has no '{name}'")
        return self.remembering(name)


class ModuleWidget:
    """What Slicer hands to the module: a layout in the module's area.

    As in the application, the area scrolls what is higher than it, and is never narrower than the
    size hint of what it holds.
    """

    def __init__(self) -> None:
        self.window = QtWidgets.QScrollArea()
        self.window.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.window.setWidgetResizable(True)
        self._content = QtWidgets.QWidget()
        self.window.setWidget(self._content)
        self.window.resize(PANEL_WIDTH, PANEL_HEIGHT)
        self._layout = QtWidgets.QVBoxLayout(self._content)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self.layout = SimpleNamespace(addWidget=lambda top: self._layout.addWidget(unwrap(top)))

    @property
    def width(self) -> int:
        """How wide Slicer makes the panel."""
        return max(PANEL_WIDTH, self._content.sizeHint().width())


class APanel:
    """The panel, shown and entered.

    Args:
        make_presenter: The presenter's class, or what stands for it.
        answers: What the person answers in dialogs.
        packages: The interpreters; none by default.
    """

    def __init__(self, make_presenter: Any, answers: Answers, packages: Any = None) -> None:
        from PseudoLabelCLGui.panel import Panel  # noqa: PLC0415 - the stand-ins come before it

        self.answers = answers
        self.packages = packages or NoPackages()
        self.module_widget = ModuleWidget()
        self.panel = Panel(
            self.module_widget, lambda name: str(RESOURCES / name), self.packages, make_presenter
        )
        self.panel.setUp()
        self.module_widget.window.show()
        self.panel.enter()
        self.is_open = True
        self.settle()
        self.tick()

    @property
    def ui(self) -> Any:
        return self.panel.ui

    @property
    def presenter(self) -> Any:
        return self.panel.presenter

    @property
    def calls(self) -> list[tuple[Any, ...]]:
        return [call for call in self.presenter.calls if call[0] not in _ALWAYS_TOLD]

    def show(self, state: Any) -> None:
        """Let the presenter have a state, and the panel show it."""
        self.presenter.state = state
        self.presenter.has_changed = True
        self.tick()

    def tick(self) -> None:
        """Let one tick of the timer pass."""
        self.panel._onTick()
        self.settle()

    def settle(self) -> None:
        """Let Qt deal with what is waiting."""
        QtWidgets.QApplication.sendPostedEvents()
        QtWidgets.QApplication.processEvents()

    def widget(self, name: str) -> Any:
        """The Qt widget itself, for what only Qt knows of it."""
        return unwrap(getattr(self.ui, name))

    def click(self, name: str) -> None:
        """Click a button as a person does: one that cannot be used cannot be clicked."""
        button = self.widget(name)
        assert button.isEnabled(), f"{name} is disabled: {button.toolTip()}"
        button.click()
        self.settle()

    def choose(self, table: str, *rows: int) -> None:
        """Choose rows of a table."""
        widget = self.widget(table)
        widget.clearSelection()
        for row in rows:
            for column in range(widget.columnCount()):
                widget.item(row, column).setSelected(True)
        self.settle()

    def press(self, key: QtCore.Qt.Key) -> None:
        """Press a key while the panel has the focus."""
        window = self.module_widget.window
        window.activateWindow()
        unwrap(self.panel.top).setFocus()
        self.settle()
        QtTest.QTest.keyClick(unwrap(self.panel.top), key)
        self.settle()

    def texts(self, table: str) -> list[list[str]]:
        """All texts of a table."""
        widget = self.widget(table)
        return [
            [widget.item(row, column).text() for column in range(widget.columnCount())]
            for row in range(widget.rowCount())
        ]

    def close(self) -> None:
        """Leave, as Slicer does when the module goes away."""
        if self.is_open:
            self.is_open = False
            self.panel.cleanUp()
            self.module_widget.window.close()
            self.settle()
            gc.collect()


__all__ = ["APanel", "ModuleWidget", "NoPackages", "RecordingPresenter", "wrap"]
