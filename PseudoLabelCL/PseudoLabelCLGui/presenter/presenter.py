"""The presenter: takes what a person does, and what service and worker say; makes what is shown.

It is a state machine over two independent lines, and never waits for either.

    project   none -> opening -> open (-> away, while its service is gone) -> none
    worker    none -> starting -> running -> pausing | stopping -> none

    state               enabled                          what ends it
    no project          new, open, sample, use a model   new_project, open_project
    opening             close                            the service's answer
    open                cases, settings, train, review   close_project
    changing            showing cases                    the service's answer
    away                open again, close                the service's answer to opening it again
    starting            showing cases                    the project, read once more: the worker
    training            pause, stop, showing cases       the worker's last event
    pausing, stopping   showing cases                    the worker's last event
    segmenting          cancel, cases, review            the worker's last event
    exporting           stop, cases, review, train       the service's answer to the last case
    in review           accept, correct, reject, train   train: the worker closes the review
    asked               answers, no verdict              one of the answers

A verdict names the proposal that is in the views, and is only possible while that is the newest of
its case; it counts as given once the service has answered. What would leave a changed proposal asks
first (`leaving`). A disabled button says why (`reasons`), a fault becomes a message with the step
that goes on from there (`faults`).
"""

import time
from collections.abc import Callable

from PseudoLabelCLGui.panel_state import Light, PanelState
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.facts.facts import WorkKind
from PseudoLabelCLGui.presenter.faults import Step
from PseudoLabelCLGui.presenter.leaving import Leaving
from PseudoLabelCLGui.presenter.ports import (
    ForgetfulProjects,
    Listeners,
    RecentProjects,
    SceneFiles,
    StartService,
    StartWorker,
)
from PseudoLabelCLGui.presenter.project.projects import ProjectActions
from PseudoLabelCLGui.presenter.project.scene_project import SceneProject
from PseudoLabelCLGui.presenter.review.review import ReviewActions
from PseudoLabelCLGui.presenter.review.review_calls import ReviewCalls
from PseudoLabelCLGui.presenter.review.verdicts import VerdictActions
from PseudoLabelCLGui.presenter.service_line import nothing
from PseudoLabelCLGui.presenter.show import Shower
from PseudoLabelCLGui.presenter.train.training import TrainingActions
from PseudoLabelCLGui.presenter.use.exporting import ExportActions
from PseudoLabelCLGui.presenter.use.result_calls import ResultCalls
from PseudoLabelCLGui.presenter.use.use import UseActions
from PseudoLabelCLGui.presenter.waiting import num_waiting, waiting_words
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.answers import FoundVolume
from PseudoLabelCLLib.messages.job_messages import is_terminal
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.readiness import ReadinessReport
from PseudoLabelCLLib.messages.requests import NewVolume, SignVerdicts

NUM_RECENT = 8
# Where a message's button leads.
_STEP_OF_TOPIC = {"cases": "cases", "use": "use", "export": "use"}
# So many events of each line are dealt with in one tick; the others wait for the next.
EVENTS_PER_TICK = 100


class Presenter(ReviewCalls, ResultCalls):
    """Owns service, worker and state; the panel calls its actions and shows `state`.

    Every action returns at once; what it cannot do becomes `state.message`. What the panel wants
    to hear of it sets in `listeners`.

    Args:
        start_service: Starts the service; called with the first request.
        start_worker: Starts a worker for a job in a job folder.
        scene: What must be known of the scene.
        clock: Seconds, ever growing.
        recent: Where the folders of projects are remembered; by default, in this session only.
    """

    def __init__(
        self,
        start_service: StartService,
        start_worker: StartWorker,
        *,
        scene: SceneFiles,
        clock: Callable[[], float] = time.monotonic,
        recent: RecentProjects | None = None,
    ) -> None:
        self.listeners = Listeners()
        self._core = Core(start_service, start_worker, scene, self.listeners, clock)
        self._recent = recent or ForgetfulProjects()
        self._core.facts.recent = self._recent.read()[:NUM_RECENT]
        leaving = Leaving(self._core, self._save_changes)
        self._review = ReviewActions(self._core, leaving)
        self._verdicts = VerdictActions(self._core, self._review, leaving)
        self._training = TrainingActions(self._core, leaving, self._begin_review)
        self._projects = ProjectActions(self._core, leaving, self._training.rest)
        self._of_scene = SceneProject(self._core, self._projects.open_project)
        self._use = UseActions(self._core)
        self._leaving = leaving
        self._export = ExportActions(self._core)
        self._core.steps = {
            Step.CHECK: self._projects.check_cases,
            Step.OPEN_AGAIN: self._open_again,
            Step.FOLDER: self._show_folder,
            Step.INSTALL: self._install,
            Step.PROBE: self.probe,
        }
        self._core.welcome = self._welcome
        self._core.view_came = self._view_came
        self._core.remember = self._remember
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
        """Hear service and worker, at most `EVENTS_PER_TICK` events each; tell if `state` is new.

        Actions change the state too: the next tick tells.
        """
        before = self._state
        self._core.hear_service(EVENTS_PER_TICK)
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

    # --- this computer

    def probe(self) -> None:
        """Check this computer again."""
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

    # --- project and cases

    def new_project(self, root: str, name: str, labels: LabelSchema) -> None:
        """Make a project and open it."""
        self._of_scene.withdraw()
        self._projects.new_project(str(root), name, labels)

    def open_project(self, root: str) -> None:
        """Open a project; a round that was interrupted goes on with `train`."""
        self._of_scene.withdraw()
        self._projects.open_project(str(root))

    def offer_project(self, root: str) -> None:
        """Ask whether to open the project that the scene names; nothing is read before."""
        self._of_scene.offer(root)

    def withdraw_project(self) -> None:
        """The scene that named a project is closed: do not ask about it any more."""
        self._of_scene.withdraw()

    def close_project(self) -> None:
        """Let go of the project; a training saves itself and is paused."""
        self._projects.close_project()

    def make_sample_project(self, folder: str) -> None:
        """Make phantom volumes and a project of them in a folder."""
        self._of_scene.withdraw()
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

    def choose_slices(self, case_ids: tuple[str, ...], *, only_drawn: bool) -> None:
        """Let only the drawn slices of annotated cases count, or all."""
        self._projects.choose_slices(case_ids, only_drawn=only_drawn)

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

    def sign_verdicts(self, name: str) -> None:
        """Choose the name that verdicts given here bear from now on; empty for none."""
        view = self._core.facts.view
        if view is not None and name != view.author:
            self._core.ask(SignVerdicts(name))

    def answer_question(self, number: int, value: str) -> None:
        """Answer a question about the files of cases; `state.cases.questions` has them."""
        self._projects.answer_question(number, value)

    # --- training

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

    # --- rounds

    def read_history(self) -> None:
        """Measure the rounds anew; `state.rounds` tells."""
        self._projects.read_history()

    def go_back(self, index: int) -> None:
        """Make an earlier round the newest; the panel has asked before."""
        self._training.go_back(index)

    # --- the message line, and the end

    def message_step(self) -> None:
        """Do what the button of the message line says."""
        step, topic = self._core.message_step, self._core.facts.topic
        if step is not None and self._core.facts.question is None:
            self._core.begin(topic)
            step()
            if topic in _STEP_OF_TOPIC:
                self.listeners.on_step_wanted(_STEP_OF_TOPIC[topic])

    def close_message(self) -> None:
        """Show the message no longer; a question stays until it is answered."""
        if self._core.facts.question is None:
            self._core.drop_message()

    def answer(self, index: int) -> None:
        """Give one of the answers of `state.message`; the last one loses nothing."""
        question = self._core.facts.question
        if question is not None and 0 <= index < len(question.answers):
            self._core.facts.question = None
            self._core.is_dirty = True
            question.answers[index].do()

    def go_to_next(self) -> None:
        """Go to the step of `state.next_thing`; a review begins with its first case."""
        wanted = self.state.next_thing
        self.listeners.on_step_wanted(wanted.step)
        if wanted.step == "review":
            self._review.show_first()
        elif wanted.step == "cases" and self.state.cases.check.enabled:
            self._projects.check_cases()

    def leave_module(self) -> None:
        """Tell that another module is shown: unsaved changes are asked about, and nothing ends."""
        self._core.facts.review.pace.leave_module(self._core.clock())
        self._leaving.before(nothing)

    def enter_module(self) -> None:
        """Tell that the panel is shown again."""
        review = self._core.facts.review
        review.pace.enter_module(self._core.clock(), is_looking=review.is_on_screen)

    def shut_down(self, patience_s: float = 2.0) -> None:
        """Let the worker save and end by itself, and the service finish what it was asked.

        Args:
            patience_s: How long verdicts on their way to the disk are waited for, at most.
        """
        self._core.worker.shut_down()
        self._core.service.close(patience_s)

    def _welcome(self, view: ProjectView) -> None:
        """Say where a project that was just opened goes on."""
        tell, waiting = self._core.tell, num_waiting(view)
        if view.plan.goes_on and self._core.facts.work is None:
            text = _("Round {index} was interrupted; everything is saved.").format(
                index=view.plan.index
            )
            words = _("Continue round {index}").format(index=view.plan.index)
            tell(Light.AMBER, text, topic="train", step=(words, self._training.go_on))
        elif waiting:
            tell(
                Light.GREEN,
                waiting_words(waiting),
                topic="review",
                step=(_("Review"), self._begin_review),
            )

    def _open_again(self) -> None:
        if self._core.last_root:
            self._projects.open_project(self._core.last_root)

    def _show_folder(self) -> None:
        self.listeners.on_folder_wanted(self._core.folder)

    def _install(self) -> None:
        self.listeners.on_install_wanted()

    def _begin_review(self) -> None:
        self.listeners.on_step_wanted("review")
        self._review.show_first()

    def _save_changes(self) -> None:
        self._verdicts.save_changes()

    def _view_came(self) -> None:
        self._leaving.look()
        self._use.follow_project()

    def _remember(self, root: str) -> None:
        facts = self._core.facts
        facts.recent = (root, *(one for one in facts.recent if one != root))[:NUM_RECENT]
        self._recent.write(facts.recent)
