"""The presenter: takes what a person does, and what service and worker say; makes what is shown.

Each section of the panel has a part of it with its actions, such as `presenter.review.accept()`.
All parts work on the same facts, and what is shown is made from these alone. It is a state machine
over two independent lines, and never waits for either.

    project   none -> opening -> open (-> away, while its service is gone) -> none
    worker    none -> starting -> running -> pausing | stopping -> none

    state               enabled                          what ends it
    no project          new, open, sample, use a model   project.new, project.open
    opening             close                            the service's answer
    open                cases, settings, train, review   project.close
    changing            showing cases                    the service's answer
    away                open again, close                the service's answer to opening it again
    starting            showing cases                    the project, read once more: the worker
    training            pause, stop, showing cases       the worker's last event
    proposing           the same, and the review         the worker's last event
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
from PseudoLabelCLGui.presenter.cases.cases_actions import CasesActions
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.facts.training_facts import WorkKind
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
from PseudoLabelCLGui.presenter.project.project_actions import ProjectActions
from PseudoLabelCLGui.presenter.project.readiness_actions import ReadinessActions
from PseudoLabelCLGui.presenter.review.review_actions import ReviewActions
from PseudoLabelCLGui.presenter.service_line import nothing
from PseudoLabelCLGui.presenter.show import Shower
from PseudoLabelCLGui.presenter.train.training_actions import TrainingActions
from PseudoLabelCLGui.presenter.use.export_actions import ExportActions
from PseudoLabelCLGui.presenter.use.use_actions import UseActions
from PseudoLabelCLGui.presenter.waiting import num_waiting, waiting_words
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.messages.job_messages import is_terminal
from PseudoLabelCLLib.messages.project_view import ProjectView

# Where a message's button leads.
_STEP_OF_TOPIC = {"cases": "cases", "use": "use", "export": "use"}
# So many events of each line are dealt with in one tick; the others wait for the next.
EVENTS_PER_TICK = 100


class Presenter:
    """Owns service, worker and state; the panel calls the actions of its parts and shows `state`.

    Every action returns at once; what it cannot do becomes `state.message`. What the panel wants
    to hear of it sets in `listeners`.

    Args:
        start_service: Starts the service; called with the first request.
        start_worker: Starts a worker for a job in a job folder.
        scene: What must be known of the scene.
        clock: Seconds, ever growing.
        recent: Where the folders of projects are remembered; by default, in this session only.

    Attributes:
        readiness: The computer that is to train.
        project: The project as a whole.
        cases: Step "cases".
        train: Step "train", and the rounds.
        review: Step "review".
        use: Step "use": the model.
        export: Step "use": what leaves the project.
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
        self._core = core = Core(start_service, start_worker, scene, self.listeners, clock)
        self._leaving = leaving = Leaving(core)
        self.readiness = ReadinessActions(core)
        self.cases = CasesActions(core)
        self.review = ReviewActions(core, leaving)
        self.train = TrainingActions(core, leaving, self.review.begin)
        self.project = ProjectActions(
            core,
            leaving,
            recent or ForgetfulProjects(),
            rest=self.train.rest,
            add_volumes=self.cases.add_volumes,
        )
        self.use = UseActions(core)
        self.export = ExportActions(core)
        core.steps = {
            Step.CHECK: self.cases.check,
            Step.OPEN_AGAIN: self.project.open_again,
            Step.FOLDER: lambda: self.listeners.on_folder_wanted(core.folder),
            Step.INSTALL: lambda: self.listeners.on_install_wanted(),  # noqa: PLW0108 - the panel sets it
            Step.PROBE: self.readiness.probe,
        }
        core.welcome = self._welcome
        core.view_came = self._view_came
        core.remember = self.project.remember
        self._shower = Shower()
        self._state = self._shower.show(core.facts)

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
                self.use.hear(event)
            else:
                self.train.hear(event)
            if is_terminal(event):
                break
        self.train.look_for_proposals()

    # --- the message line, and the end

    def message_step(self) -> None:
        """Do what the button of the message line says."""
        step, topic = self._core.message_step, self._core.facts.topic
        if step is not None and self._core.facts.decision is None:
            self._core.begin(topic)
            step()
            if topic in _STEP_OF_TOPIC:
                self.listeners.on_step_wanted(_STEP_OF_TOPIC[topic])

    def close_message(self) -> None:
        """Show the message no longer; a question stays until it is answered."""
        if self._core.facts.decision is None:
            self._core.drop_message()

    def answer(self, index: int) -> None:
        """Give one of the answers of `state.message`; the last one loses nothing."""
        question = self._core.facts.decision
        if question is not None and 0 <= index < len(question.answers):
            self._core.facts.decision = None
            self._core.is_dirty = True
            question.answers[index].do()

    def go_to_next(self) -> None:
        """Go to the step of `state.next_thing`; a review begins with its first case."""
        wanted = self.state.next_thing
        self.listeners.on_step_wanted(wanted.step)
        if wanted.step == "review":
            self.review.show_first()
        elif wanted.step == "cases" and self.state.cases.check.enabled:
            self.cases.check()

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
            remedy = waiting_words(waiting) if waiting else ""
            tell(Light.AMBER, text, remedy, topic="train", step=(words, self.train.go_on))
        elif waiting:
            tell(
                Light.GREEN,
                waiting_words(waiting),
                topic="review",
                step=(_("Review"), self.review.begin),
            )

    def _view_came(self) -> None:
        self._leaving.look()
        self.use.follow_project()
