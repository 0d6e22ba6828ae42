"""The presenter: takes what a person does, and what desk and worker say; makes what is shown.

It is a state machine over two independent lines, and never waits for either.

    project   none -> opening -> open (-> away, while its desk is gone) -> none
    worker    none -> starting -> running -> pausing | stopping -> none

    state               enabled                          what ends it
    no project          new, open, sample, use a model   new_project, open_project
    opening             close                            the desk's answer
    open                cases, settings, train, review   close_project
    changing            showing cases                    the desk's answer
    away                open again, close                the desk's answer to opening it again
    starting            showing cases                    the project, read once more: the worker
    training            pause, stop, showing cases       the worker's last event
    pausing, stopping   showing cases                    the worker's last event
    segmenting          cancel, cases, review            the worker's last event
    exporting           stop, cases, review, train       the desk's answer to the last case
    in review           accept, correct, reject, train   train: the worker closes the review

Verdicts count as given once the desk has answered. A disabled button says why (`reasons`), a fault
becomes a message with the step that goes on from there (`faults`).
"""

import time
from collections.abc import Callable

from PseudoLabelCLGui.panel_state import Light, PanelState
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.export_facts import ExportChoices
from PseudoLabelCLGui.presenter.exporting import ExportActions
from PseudoLabelCLGui.presenter.facts import WorkKind
from PseudoLabelCLGui.presenter.faults import Step
from PseudoLabelCLGui.presenter.ports import Listeners, SceneFiles, StartDesk, StartWorker
from PseudoLabelCLGui.presenter.projects import ProjectActions
from PseudoLabelCLGui.presenter.review import ReviewActions
from PseudoLabelCLGui.presenter.show import Shower
from PseudoLabelCLGui.presenter.training import TrainingActions, num_waiting
from PseudoLabelCLGui.presenter.use import UseActions
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.desk_answers import FoundVolume
from PseudoLabelCLLib.domain.desk_requests import NewVolume
from PseudoLabelCLLib.domain.jobs import SegmentationFormat
from PseudoLabelCLLib.domain.project_view import ProjectView
from PseudoLabelCLLib.domain.readiness import ReadinessReport
from PseudoLabelCLLib.domain.segmentation import LabelSchema, Terminology
from PseudoLabelCLLib.process.protocol import is_terminal

# So many events of each line are dealt with in one tick; the others wait for the next.
EVENTS_PER_TICK = 100


class Presenter:
    """Owns desk, worker and state; the panel calls its actions and shows `state`.

    Every action returns at once; what it cannot do becomes `state.message`. What the panel wants
    to hear of it sets in `listeners`.

    Args:
        start_desk: Starts the desk; called with the first request.
        start_worker: Starts a worker for a job in a job folder.
        scene: What must be known of the scene.
        clock: Seconds, ever growing.
    """

    def __init__(
        self,
        start_desk: StartDesk,
        start_worker: StartWorker,
        *,
        scene: SceneFiles,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.listeners = Listeners()
        self._core = Core(start_desk, start_worker, scene, self.listeners, clock)
        self._review = ReviewActions(self._core)
        self._training = TrainingActions(self._core, self._review.show_first)
        self._projects = ProjectActions(self._core, self._training.rest)
        self._use = UseActions(self._core)
        self._export = ExportActions(self._core)
        self._core.steps = {
            Step.CHECK: self._projects.check_cases,
            Step.OPEN_AGAIN: self._open_again,
            Step.FOLDER: self._show_folder,
            Step.INSTALL: self._install,
            Step.PROBE: self.probe,
        }
        self._core.welcome = self._welcome
        self._shower = Shower()
        self._state = self._shower.show(self._core.facts)

    @property
    def state(self) -> PanelState:
        """What the panel shows now."""
        if self._core.is_dirty:
            self._core.is_dirty = False
            self._state = self._shower.show(self._core.facts)
        return self._state

    def tick(self) -> bool:
        """Hear desk and worker, at most `EVENTS_PER_TICK` events each; tell whether `state` is new.

        Actions change the state too: the next tick tells.
        """
        before = self._state
        self._core.hear_desk(EVENTS_PER_TICK)
        self._hear_worker()
        return self.state is not before

    def _hear_worker(self) -> None:
        for event in self._core.worker.poll(EVENTS_PER_TICK):
            self._core.is_dirty = True
            work = self._core.facts.work
            if work is None:
                continue
            if work.kind is WorkKind.PREDICT:
                self._use.hear(event)
            else:
                self._training.hear(event)
            if is_terminal(event):
                break

    # --- 1 readiness

    def probe(self) -> None:
        """Look at this computer again."""
        self._core.begin("project")
        self._core.facts.is_probing = True
        self.listeners.on_probe_wanted(self._core.facts.python)

    def set_python(self, path: str) -> None:
        """Choose the interpreter of the worker; empty takes Slicer's own."""
        self._core.facts.python = path
        self.probe()

    def readiness_found(self, report: ReadinessReport) -> None:
        """Take what a probe found; another one follows while the report is not complete."""
        self._core.facts.readiness = report
        self._core.facts.is_probing = not report.is_complete and not report.can_train
        self._core.is_dirty = True

    # --- 2 project and cases

    def new_project(self, root: str, name: str, labels: LabelSchema) -> None:
        """Make a project and open it."""
        self._projects.new_project(str(root), name, labels)

    def open_project(self, root: str) -> None:
        """Open a project; a round that was interrupted goes on with `train`."""
        self._projects.open_project(str(root))

    def close_project(self) -> None:
        """Let go of the project; a training saves itself and is paused."""
        self._projects.close_project()

    def make_sample_project(self, folder: str) -> None:
        """Make phantom volumes and a project of them in a folder."""
        self._projects.make_sample_project(str(folder))

    def add_volumes(self, volumes: tuple[NewVolume, ...]) -> None:
        """Add volumes."""
        self._projects.add_volumes(volumes)

    def add_paths(self, paths: tuple[str, ...], role: CaseRole | None = None) -> None:
        """Add the volumes in files and folders; `on_found` where there is a choice.

        Args:
            paths: Files and folders.
            role: What for; None always lets the person choose.
        """
        self._projects.add_paths(paths, role)

    def add_found(self, found: tuple[FoundVolume, ...], role: CaseRole | None = None) -> None:
        """Add what `on_found` told; without a role, those with a segmentation are annotated."""
        self._projects.add_found(found, role)

    def set_role(self, case_ids: tuple[str, ...], role: CaseRole) -> None:
        """Give cases another role."""
        self._projects.set_role(case_ids, role)

    def remove_cases(self, case_ids: tuple[str, ...]) -> None:
        """Take cases out of the project."""
        self._projects.remove_cases(case_ids)

    def annotate(self, case_id: str, file: str) -> None:
        """Give a case the segmentation in a file."""
        self._projects.annotate(case_id, str(file))

    def change_labels(self, labels: LabelSchema) -> None:
        """Change the structures."""
        self._projects.change_labels(labels)

    def check_cases(self) -> None:
        """Look at every case before training; `state.cases.findings` tells."""
        self._projects.check_cases()

    # --- 3 train

    def change_setting(self, name: str, value: str) -> None:
        """Change a setting by its name, such as "training.joint.num_steps"."""
        self._projects.change_setting(name, value)

    def set_profile(self, name: str) -> None:
        """Choose the profile: "quick", "balanced", "paper", "legacy"."""
        self._projects.change_setting("profile", name)

    def set_pretraining(self, name: str) -> None:
        """Choose the pre-training: "none", "global+local", "positional"."""
        self._projects.change_setting("pretraining.method", name)

    def train(self, num_rounds: int = 1, stop_when_no_better: bool = False) -> None:
        """Train rounds; one that was interrupted goes on first and counts."""
        self._training.train(num_rounds, stop_when_no_better=stop_when_no_better)

    def pretrain(self) -> None:
        """Pre-train the network only."""
        self._training.pretrain()

    def pause(self) -> None:
        """Save and stop; `train` goes on."""
        self._training.pause()

    def stop(self) -> None:
        """Give the running or paused round up; the panel has asked before."""
        self._training.stop()

    # --- 4 review

    def show_case(self, case_id: str) -> None:
        """Show a case; `on_case_files` follows."""
        self._review.show_case(case_id)

    def next_case(self) -> None:
        """Show the next case of the queue, or the first that waits."""
        self._review.next_case()

    def previous_case(self) -> None:
        """Show the case before in the queue."""
        self._review.previous_case()

    def case_is_edited(self, is_edited: bool) -> None:
        """Tell whether the shown proposal was changed since it was loaded."""
        self._review.case_is_edited(is_edited)

    def accept(self, left_out: tuple[int, ...] = ()) -> None:
        """Take the shown proposal; if it was changed, `on_correction_wanted` comes instead."""
        self._review.accept(left_out)

    def correct(self, file: str, whole: bool = False, left_out: tuple[int, ...] = ()) -> None:
        """Take the changed proposal, which the panel has written to a file."""
        self._review.correct(str(file), whole=whole, left_out=left_out)

    def reject(self) -> None:
        """Leave the shown proposal out of the next round."""
        self._review.reject()

    def accept_many(self, case_ids: tuple[str, ...]) -> None:
        """Take several proposals as they are."""
        self._review.accept_many(case_ids)

    def reject_many(self, case_ids: tuple[str, ...]) -> None:
        """Leave several proposals out."""
        self._review.reject_many(case_ids)

    def take_back(self) -> None:
        """Undo the newest verdict on the shown case."""
        self._review.take_back()

    def go_on_after_verdict(self, goes_on: bool) -> None:
        """Choose whether the next case comes by itself after a verdict."""
        self._core.facts.review.goes_on = goes_on

    # --- 5 rounds

    def read_history(self) -> None:
        """Measure the rounds anew; `state.rounds` tells."""
        self._projects.read_history()

    def show_round(self, index: int) -> None:
        """Show what a round proposed for the shown case."""
        self._review.show_round(index)

    def go_back(self, index: int) -> None:
        """Make an earlier round the newest; the panel has asked before."""
        self._training.go_back(index)

    # --- 6 use

    def use_model(self, file: str) -> None:
        """Take a model file for segmenting volumes."""
        self._use.use_model(str(file))

    def use_newest_model(self) -> None:
        """Take the model of the newest round."""
        self._use.use_newest_model()

    def apply_model(
        self,
        images: tuple[str, ...],
        output_folder: str,
        format: SegmentationFormat = SegmentationFormat.SEG_NRRD,  # noqa: A002 - as in the job
        series_uids: tuple[str | None, ...] = (),
    ) -> None:
        """Segment volumes: files or folders of DICOM slices; `on_segmented` tells of each."""
        self._use.apply_model(images, str(output_folder), format, series_uids)

    def cancel_apply(self) -> None:
        """Stop segmenting after the volume at hand."""
        self._use.cancel()

    def save_model(self, file: str) -> None:
        """Save the newest model as one file."""
        self._use.save_model(str(file))

    # --- 7 export

    def export(
        self,
        folder: str,
        format: SegmentationFormat = SegmentationFormat.SEG_NRRD,  # noqa: A002 - as in the request
        case_ids: tuple[str, ...] = (),
        include_unreviewed: bool = False,
    ) -> None:
        """Write segmentations into a folder; no case means all."""
        self._export.export(str(folder), format, case_ids, include_unreviewed=include_unreviewed)

    def check_export(self, choices: ExportChoices) -> None:
        """Look for what would stop or surprise a DICOM export; `state.export` tells."""
        self._export.check(choices)

    def export_dicom(self, choices: ExportChoices) -> None:
        """Check if need be, then write verified DICOM segmentations, one after the other."""
        self._export.export_dicom(choices)

    def cancel_export(self) -> None:
        """Stop the DICOM export, or its check, after the volume at hand."""
        self._export.cancel()

    def look_in(self, folder: str) -> None:
        """Look for the DICOM series that were not found in or below a folder."""
        self._export.look_in(str(folder))

    def write_volumes(self, kind: str) -> None:
        """Write volumes that are not from DICOM as series first; they are "MR", "CT" or "OT"."""
        self._export.write_volumes(kind)

    def accept_losses(self, case_id: str) -> None:
        """Export a volume although voxels change; the person has said so."""
        self._export.accept_losses(case_id)

    def choose_codes(self, label_value: int, terminology: Terminology) -> None:
        """Say what a structure is."""
        self._export.choose_codes(label_value, terminology)

    def told_by_database(self, light: Light, text: str) -> None:
        """Take what became of the import into Slicer's DICOM database."""
        self._export.told_by_database(light, text)

    # --- the message line, and the end

    def message_step(self) -> None:
        """Do what the button of the message line says."""
        step = self._core.message_step
        if step is not None:
            self._core.begin(self._core.facts.topic)
            step()

    def shut_down(self, patience_s: float = 2.0) -> None:
        """Let the worker save and end by itself, and the desk finish what it was asked.

        Args:
            patience_s: How long verdicts on their way to the disk are waited for, at most.
        """
        self._core.worker.shut_down()
        self._core.desk.close(patience_s)

    def _welcome(self, view: ProjectView) -> None:
        """Say where a project that was just opened goes on."""
        tell, waiting = self._core.tell, num_waiting(view)
        if view.plan.goes_on and self._core.facts.work is None:
            text = _("Round {index} was interrupted; all is saved.").format(index=view.plan.index)
            words = _("Continue round {index}").format(index=view.plan.index)
            tell(Light.AMBER, text, topic="train", step=(words, self._training.go_on))
        elif waiting:
            text = _("Proposals that wait for review: {count}.").format(count=waiting)
            tell(Light.GREEN, text, topic="review", step=(_("Review"), self._review.show_first))

    def _open_again(self) -> None:
        if self._core.last_root:
            self._projects.open_project(self._core.last_root)

    def _show_folder(self) -> None:
        self.listeners.on_folder_wanted(self._core.folder)

    def _install(self) -> None:
        self.listeners.on_install_wanted()
