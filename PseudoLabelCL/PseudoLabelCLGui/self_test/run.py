"""The self-test in Slicer: the panel and its rounds; then the whole loop on phantoms without it.

It needs no network and no main window, and PyTorch only in the interpreter that it is told.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import slicer

from PseudoLabelCLGui.mrml_bridge import (
    ShownCase,
    forget_case,
    geometry_of,
    is_edited,
    show_case,
    snapshot_correction,
)
from PseudoLabelCLGui.packages.python_packages import PythonPackages, support_text
from PseudoLabelCLGui.panel_state import Light, PanelState
from PseudoLabelCLGui.presenter import Presenter
from PseudoLabelCLGui.self_test.log import LogWatch
from PseudoLabelCLGui.self_test.panel import PanelTest
from PseudoLabelCLGui.self_test.shared import (
    QUICK_S,
    SLOW_S,
    SMALL_ROUND,
    Say,
    Wait,
    check,
    paint_block,
)
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.answers import CaseFiles
from PseudoLabelCLLib.messages.jobs import Job
from PseudoLabelCLLib.messages.readiness import ReadinessReport
from PseudoLabelCLLib.process.service_process import ServiceProcess
from PseudoLabelCLLib.process.worker_process import WorkerProcess

LOOK_EVERY_MS = 20


def run(say: Say, *, python: str = "") -> None:
    """Run the self-test in the running Slicer.

    Args:
        say: Shows what is done, in a sentence.
        python: The interpreter that has PyTorch; empty takes the chosen one or Slicer's own.

    Raises:
        AssertionError: Something is not as it should be; the text says what.
    """
    log = LogWatch(Path(slicer.app.currentLogFile()))
    say("The panel is opened.")
    slicer.modules.pseudolabelcl.widgetRepresentation()
    widget = getattr(slicer.modules, "PseudoLabelCLWidget", None)
    if widget is None or getattr(widget, "panel", None) is None:
        raise AssertionError("The panel was not built.")
    packages = PythonPackages()
    chosen = Path(python) if python else packages.default_python()
    folder = Path(tempfile.mkdtemp(prefix="PseudoLabelCL-self-test-"))
    loop = SelfTest(folder, packages, chosen, say, wait_in_slicer)
    widget.panel.packages.use(chosen)
    try:
        PanelTest(widget, folder / "panel", say, wait_in_slicer).run()
        loop.run()
    finally:
        loop.close()
        widget.panel.packages.use(None)
        shutil.rmtree(folder, ignore_errors=True)
    check_log(log, say)


def check_log(log: LogWatch, say: Say) -> None:
    """Check that Slicer's log is clean, and say what of its own was passed over."""
    troubles, passed_over = log.troubles()
    say(f"Slicer's log: {len(troubles)} lines of trouble, {len(passed_over)} passed over.")
    for entry in dict.fromkeys(passed_over):
        say(f"Passed over, logged by Slicer itself: {entry}")
    told = "\n".join(dict.fromkeys(troubles))
    check(not troubles, f"Slicer's log has {len(troubles)} lines of trouble:\n{told}")


def wait_in_slicer(condition: Callable[[], bool], limit_s: float) -> None:
    """Let Slicer's event loop run until a condition holds or the time is over."""
    import qt  # noqa: PLC0415 - the rest of the self-test runs without Qt as well

    deadline_s = time.monotonic() + limit_s
    errors: list[Exception] = []
    loop, timer = qt.QEventLoop(), qt.QTimer()

    def look() -> None:
        try:
            if condition() or time.monotonic() > deadline_s:
                loop.quit()
        except Exception as error:  # noqa: BLE001 - Qt swallows it; it is raised again below
            errors.append(error)
            loop.quit()

    timer.setInterval(LOOK_EVERY_MS)
    timer.connect("timeout()", look)
    timer.start()
    loop.exec_()  # PythonQt finds Qt's `exec` under this name too
    timer.stop()
    if errors:
        raise errors[0]


class SelfTest:
    """One pass through the whole loop.

    Args:
        folder: An empty folder of its own.
        packages: Finds out what the interpreter can do.
        python: The interpreter for service and worker.
        say: Shows what is done.
        wait: Lets the application live meanwhile.
    """

    def __init__(
        self, folder: Path, packages: PythonPackages, python: Path, say: Say, wait: Wait
    ) -> None:
        self._folder, self._packages, self._python = folder, packages, python
        self._say, self._wait = say, wait
        self._files: CaseFiles | None = None
        self._saved: list[str] = []
        self._segmented: list[tuple[str, str]] = []
        self._workers: list[WorkerProcess] = []
        self._shown: ShownCase | None = None
        self._corrected = ""
        self.presenter = Presenter(self._start_service, self._start_worker, scene=self)
        self.presenter.review.go_on_after_verdict(goes_on=False)
        listeners = self.presenter.listeners
        listeners.on_case_files = self._take_files
        listeners.on_verdict_saved = self._saved.extend
        listeners.on_correction_wanted = self._correct
        listeners.on_segmented = lambda image, file: self._segmented.append((image, file))

    def run(self) -> None:
        """Go through the loop; each step checks what it brought."""
        self._look_at_computer()
        self._make_project()
        self._train(num_rounds_after=1)
        self._review()
        self._export()
        self._train(num_rounds_after=2)
        self._apply()
        self._come_back()
        self._say("The whole loop went well.")

    def close(self) -> None:
        """End the children and take what is left out of the scene."""
        self.presenter.shut_down()
        self._packages.stop()
        for worker in self._workers:
            worker.close()  # their folder is deleted next
        self._forget()

    # What the presenter asks of the scene.

    def has_image(self, case_id: str) -> bool:  # noqa: D102, ARG002 - presenter.ports.SceneFiles
        return False

    def temporary_folder(self) -> Path:  # noqa: D102 - presenter.ports.SceneFiles
        return self._folder

    # The steps.

    def _look_at_computer(self) -> None:
        self._say(f"Looking at what '{self._python}' can do.")
        reports: list[ReadinessReport] = []
        self._packages.probe(reports.append, python=self._python, folder=self._folder)
        self._wait(lambda: bool(reports), QUICK_S * 3)
        check(bool(reports), "The probe of the interpreter never answered.")
        report = reports[-1]
        self._packages.stop()
        check(report.can_train, f"This computer cannot train. {support_text(report)}")
        self._say(f"It trains on: {report.device}. {report.device_reason}")

    def _make_project(self) -> None:
        self._say("Making a project from phantoms.")
        self.presenter.project.make_sample(str(self._folder / "sample"))
        self._until("the sample volumes were added", lambda s: len(s.cases.rows) >= 5, QUICK_S)
        for name, value in SMALL_ROUND.items():
            self.presenter.train.change_setting(name, value)
            self._until_setting(name, value)
        self._until("a round can be trained", lambda s: s.train.train.enabled, QUICK_S)

    def _train(self, *, num_rounds_after: int) -> None:
        self._say(f"Training round {num_rounds_after - 1}.")
        self.presenter.train.start(1)
        self._until("the training began", lambda s: s.train.is_running, QUICK_S)
        self._until(
            "the round was trained",
            lambda s: (
                not s.train.is_running
                and len(s.rounds.rows) >= num_rounds_after
                and len(s.review.queue) >= 3
            ),
            SLOW_S,
        )

    def _review(self) -> None:
        accepted, corrected, rejected = (row.case_id for row in self._state.review.queue[:3])
        self._say("Accepting a proposal.")
        self._show(accepted)
        self._judge(accepted, self.presenter.review.accept)
        self._say("Correcting a proposal.")
        shown = self._show(corrected)
        paint_block(shown)
        check(is_edited(shown), "Drawing in a proposal was not noticed.")
        self.presenter.review.case_is_edited(is_edited=True)
        self._judge(corrected, self.presenter.review.accept)
        self._corrected = corrected
        self._say("Rejecting a proposal.")
        self._show(rejected)
        self._judge(rejected, self.presenter.review.reject)

    def _show(self, case_id: str) -> ShownCase:
        self._forget()
        self._files = None
        self.presenter.review.show_case(case_id)
        self._until(f"the files of '{case_id}' came", lambda _: self._files is not None, QUICK_S)
        assert self._files is not None  # the line above waited for it
        labels = LabelSchema(self._state.cases.labels)
        shown = show_case(self._files, labels, None, project=self._state.project.root)
        self._shown = shown
        check(shown.proposal is not None, f"The case '{case_id}' was shown without its proposal.")
        geometry = geometry_of(shown.volume)
        same_spacing = sorted(geometry.spacing_mm) == sorted(self._files.geometry.spacing_mm)
        check(same_spacing, f"The volume of '{case_id}' has another voxel size than its file.")
        check(not is_edited(shown), f"The proposal of '{case_id}' counts as edited at once.")
        self.presenter.review.case_is_on_screen(self._files)
        return shown

    def _judge(self, case_id: str, give: Callable[[], None]) -> None:
        self._saved.clear()
        give()
        self._until(
            f"the verdict on '{case_id}' was saved", lambda _: case_id in self._saved, QUICK_S
        )
        rows = {row.case_id: row.verdict for row in self._state.review.queue}
        check(bool(rows.get(case_id)), f"The queue does not show the verdict on '{case_id}'.")

    def _export(self) -> None:
        self._say("Exporting what a person confirmed.")
        folder = self._folder / "exported"
        self.presenter.export.write_files(str(folder))
        self._until("segmentations were exported", lambda s: bool(s.export.results), QUICK_S)
        names = sorted(file.name for file in folder.iterdir())
        is_there = any(name.startswith(self._corrected) for name in names)
        check(is_there, f"The corrected case is not among the exported files: {names}.")

    def _apply(self) -> None:
        self._say("Segmenting a volume with the newest model.")
        image = next(iter(sorted((self._folder / "sample" / "volumes").glob("*.nii*"))))
        self.presenter.use.load_newest_model()
        self._until("the model was read", lambda s: s.use.apply.enabled, QUICK_S)
        self.presenter.use.apply((str(image),), str(self._folder / "segmented"))
        self._until("the volume was segmented", lambda _: bool(self._segmented), SLOW_S)
        check(Path(self._segmented[0][1]).is_file(), "The segmentation is not on the disk.")
        self._until("the worker ended", lambda s: not s.use.is_running, QUICK_S)

    def _come_back(self) -> None:
        self._say("Closing the project and opening it again.")
        root = self._state.project.root
        self.presenter.project.close()
        self._until("the project was closed", lambda s: not s.project.root, QUICK_S)
        self.presenter.project.open(root)
        self._until("the project was opened again", lambda s: bool(s.rounds.rows), QUICK_S)
        num_rounds = len(self._state.rounds.rows)
        check(
            num_rounds == 2, f"After opening it again the project has {num_rounds} rounds, not 2."
        )

    # What the steps share.

    @property
    def _state(self) -> PanelState:
        return self.presenter.state

    def _until(self, what: str, condition: Callable[[PanelState], bool], limit_s: float) -> None:
        """Wait until the panel's state is as expected; a red message ends the waiting."""

        def is_over() -> bool:
            self.presenter.tick()
            return condition(self._state) or self._state.message.light is Light.RED

        self._wait(is_over, limit_s)
        message = self._state.message
        told = f"{message.text} {message.remedy} {' / '.join(self._state.train.log[-5:])}"
        check(condition(self._state), f"It was expected that {what}; the panel says: {told}")

    def _until_setting(self, name: str, value: str) -> None:
        what = f"the setting {name} was changed"
        self._until(what, lambda s: s.train.settings.get(name) == value, QUICK_S)

    def _take_files(self, files: CaseFiles) -> None:
        self._files = files

    def _correct(self, left_out: tuple[int, ...]) -> None:
        assert self._shown is not None  # only a shown case can be corrected
        file = self._folder / "corrected.seg.nrrd"
        snapshot_correction(self._shown).write(file)
        self.presenter.review.correct(str(file), left_out=left_out)

    def _forget(self) -> None:
        shown, self._shown = self._shown, None
        if shown is not None:
            forget_case(shown, edits_are_saved=True)

    def _start_service(self) -> ServiceProcess:
        return ServiceProcess.start(self._python, self._packages.child_environment(self._python))

    def _start_worker(self, job: Job, folder: Path) -> WorkerProcess:
        environment = self._packages.child_environment(self._python)
        worker = WorkerProcess.start(job, folder, python=self._python, environment=environment)
        self._workers.append(worker)
        return worker
