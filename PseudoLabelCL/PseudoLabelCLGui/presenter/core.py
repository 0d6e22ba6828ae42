"""What all parts of the presenter share: facts, service, worker, message, arriving answers."""

from collections.abc import Callable
from functools import partial
from typing import Any

from PseudoLabelCLGui.panel_state import Action, Light, Message
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.facts.review_facts import ReviewFacts
from PseudoLabelCLGui.presenter.facts.use_facts import ExportFacts
from PseudoLabelCLGui.presenter.faults import Fault, Step, fault_of_refusal
from PseudoLabelCLGui.presenter.ports import (
    Listeners,
    SceneFiles,
    StartService,
    StartWorker,
    nobody,
)
from PseudoLabelCLGui.presenter.queue_order import with_queue_kept
from PseudoLabelCLGui.presenter.service_line import A, Asked, ServiceLine, nothing
from PseudoLabelCLGui.presenter.worker_line import WorkerLine
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.messages.answers import History, VolumesAdded
from PseudoLabelCLLib.messages.jobs import DeviceChoice
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests import OpenProject, ReadHistory, Request
from PseudoLabelCLLib.messages.service_messages import (
    Answered,
    Refused,
    RequestProgress,
    ServiceEnded,
    ServiceEvent,
)

# A service that ends again so soon is not started by itself a second time.
RESTART_AGAIN_S = 60.0


class Core:
    """The presenter's common ground.

    Args:
        start_service: Starts the service.
        start_worker: Starts a worker.
        scene: What must be known of the scene.
        listeners: Whom to tell.
        clock: Seconds, ever growing.
    """

    def __init__(
        self,
        start_service: StartService,
        start_worker: StartWorker,
        scene: SceneFiles,
        listeners: Listeners,
        clock: Callable[[], float],
    ) -> None:
        self.facts = Facts()
        self.service = ServiceLine(start_service)
        self.worker = WorkerLine(start_worker)
        self.scene = scene
        self.listeners = listeners
        self.folder = ""
        self.clock = clock
        self.welcome: Callable[[ProjectView], None] = nobody
        self.view_came: Callable[[], None] = nothing
        self.remember: Callable[[str], None] = nobody
        self.steps: dict[Step, Callable[[], None]] = {}
        self.message_step: Callable[[], None] | None = None
        self.is_dirty = True
        self.last_root = ""
        self._restarted_s: float | None = None
        self._is_falling = False

    # --- asking the service

    def ask(
        self,
        request: Request[A],
        then: Callable[[A], None] = nothing,
        *,
        failed: Callable[[], None] = nothing,
        is_quiet: bool = False,
    ) -> bool:
        """Ask the service; a `ProjectView` in the answer becomes the view before `then` is called.

        Args:
            request: What to ask.
            then: Told the answer.
            failed: Called when it was refused or lost with the service.
            is_quiet: Whether a refusal is not shown.

        Returns:
            Whether it is on its way.
        """
        return self.send(Asked(request, then, failed, is_quiet))

    def send(self, asked: Asked[Any]) -> bool:
        """Ask the service as `ask` does; tell whether it is on its way."""
        self.is_dirty = True
        lost = self.facts.view if not self.service.is_started else None
        if lost is not None and not self.facts.opening and not self._is_falling:
            self.reopen(lost.root)  # the service ended; a new one knows no project
        if self._is_falling:
            asked.failed()
            return False
        try:
            self.service.ask(asked)
        except (PseudoLabelCLError, OSError) as error:
            asked.failed()
            remedy = _("Check this computer again: is there a working Python interpreter?")
            own_remedy = translated(error.remedy) if isinstance(error, PseudoLabelCLError) else ""
            text = (
                translated(error.message) if isinstance(error, PseudoLabelCLError) else str(error)
            )
            self.tell_fault(Fault(text, own_remedy or remedy, Step.PROBE), topic="service")
            return False
        return True

    def change(
        self,
        request: Request[A],
        words: str,
        then: Callable[[A], None] = nothing,
        *,
        failed: Callable[[], None] = nothing,
    ) -> None:
        """Ask for a change of the project; until the answer other changes are disabled.

        Args:
            request: What to ask.
            words: Why other changes must wait, a sentence.
            then: Told the answer.
            failed: Called when it was refused or lost with the service.
        """
        self.facts.changing = words

        def done(answer: A) -> None:
            self.end_change()
            then(answer)

        def not_done() -> None:
            self.end_change()
            failed()

        self.ask(request, done, failed=not_done)

    def end_change(self) -> None:
        """Allow changes again."""
        self.facts.changing = ""

    # --- what the service says

    def hear_service(self, limit: int) -> None:
        """Deal with at most `limit` events of the service."""
        for event, asked in self.service.poll(limit):
            self.is_dirty = True
            self._hear(event, asked)

    def _hear(self, event: ServiceEvent, asked: Asked[Any] | None) -> None:
        match event:
            case Answered() if asked is not None:
                self._rest_service()
                self._take_answer(event.answer, asked)
            case Refused():
                self._rest_service()
                self._take_refusal(event, asked)
            case RequestProgress(progress=progress) if asked and asked.on_progress:
                asked.on_progress(progress)
            case RequestProgress(progress=progress) if asked and not asked.is_quiet:
                self.facts.service_working = _("{text}: {done} of {total}").format(
                    text=translated(progress.stage), done=progress.step, total=progress.num_steps
                )
                self.facts.service_fraction = progress.fraction
            case ServiceEnded():
                self._service_ended(event)
            case _:  # the answer to something that nobody waits for any more
                pass

    def _rest_service(self) -> None:
        self.facts.service_working, self.facts.service_fraction = "", None

    def _take_answer(self, answer: object, asked: Asked[Any]) -> None:
        if asked.is_forgotten:
            return
        if isinstance(answer, VolumesAdded):
            self.take_view(answer.view)
        elif isinstance(answer, ProjectView):
            self.take_view(answer)
        asked.then(answer)

    def _take_refusal(self, refused: Refused, asked: Asked[Any] | None) -> None:
        if asked is not None and asked.refused is not None:
            asked.refused(refused)
            return
        if asked is not None:
            asked.failed()
        if asked is None or not asked.is_quiet:
            fault = fault_of_refusal(refused, asked.request if asked else None)
            self.tell_fault(fault, topic="service")

    def take_view(self, view: ProjectView) -> None:
        """Take the project as it is now."""
        review = self.facts.review
        self.facts.view = with_queue_kept(view, self.facts.view, (review.shown, review.wanted))
        self.view_came()

    def leave_case(self, *, discard: bool = False) -> None:
        """Show no case any more.

        Args:
            discard: Whether the person wants to lose the changes that are not saved.
        """
        review, question = self.facts.review, self.facts.decision
        review.pace.rest(self.clock())
        left = review.let_go()
        if not left:
            return
        if question is not None and question.is_about_changes:
            self.facts.decision = None
        if self.facts.about_case == left:
            self.drop_message()
        self.is_dirty = True
        self.listeners.on_case_left(left, discard)

    # --- the end of the service

    def _service_ended(self, ended: ServiceEnded) -> None:
        lost = self.service.take_lost()
        self._rest_service()
        self._is_falling = True
        for asked in lost:
            asked.failed()
        self._is_falling = False
        self.facts.is_away = self.facts.view is not None
        unsure = [asked for asked in lost if asked.writes]
        was_restarted = self._restarted_s is not None
        is_too_soon = was_restarted and self.clock() - (self._restarted_s or 0) < RESTART_AGAIN_S
        root = self.root
        if is_too_soon or not root:
            fault = Fault(translated(ended.message), translated(ended.remedy), Step.OPEN_AGAIN)
            self.tell_fault(fault, topic="service")
            return
        self._restarted_s = self.clock()
        self._tell_restart(ended, unsure)
        self.reopen(root)

    def _tell_restart(self, ended: ServiceEnded, unsure: list[Asked[Any]]) -> None:
        text = _("{what} It has been restarted, and the project is being reopened.").format(
            what=translated(ended.message)
        )
        remedy = _("Everything the panel showed as saved is saved.")
        if unsure:
            remedy += " " + _("Check that your last action was saved; if not, repeat it.")
        self.tell(Light.AMBER, text, remedy, topic="service")

    @property
    def root(self) -> str:
        """Folder of the project that is open or being opened, or empty."""
        return self.facts.opening or (self.facts.view.root if self.facts.view else "")

    def reopen(self, root: str) -> None:
        """Open a project in a new service; the review stays where it is."""
        review = self.facts.review
        self.facts.opening = self.last_root = root
        review.asked = review.wanted = ""
        review.saving.clear()
        review.after_saving, review.is_previewing, review.preview_wanted = None, False, None

        def opened(_view: ProjectView) -> None:
            self.facts.opening = ""
            self.facts.is_away = False
            self.opened()

        self.ask(OpenProject(root), opened, failed=self._not_opened)

    def opened(self) -> None:
        """Tell that a project is open, and where it goes on."""
        view = self.facts.view
        if view is None:
            return
        self.remember(view.root)
        if view.rounds:
            self.ask(ReadHistory(), self.take_history, is_quiet=True)
        if view.notices:
            self.tell(Light.AMBER, " ".join(map(translated, view.notices)), topic="project")
        elif self.facts.message.light is Light.NONE:
            self.welcome(view)
        self.listeners.on_project_opened(view)

    def _not_opened(self) -> None:
        self.facts.opening = ""
        self.facts.is_away = self.facts.view is not None

    def forget_project(self) -> None:
        """Release everything that belongs to the open project."""
        facts = self.facts
        self.leave_case()
        self.service.forget_answers()
        facts.view, facts.opening, facts.changing, facts.is_away = None, "", "", False
        facts.next_settings.clear()
        self._rest_service()
        self.drop_message()
        facts.decision = None
        facts.asked = ()
        facts.findings, facts.history, facts.is_starting, facts.run = (), (), False, None
        facts.checked = None
        if not facts.use.is_chosen:
            facts.use.model, facts.use.followed = None, ""
        facts.review = ReviewFacts(goes_on=facts.review.goes_on, pace=facts.review.pace)
        facts.export = ExportFacts(results=facts.export.results)

    # --- the message line

    def tell(
        self,
        light: Light,
        text: str,
        remedy: str = "",
        *,
        topic: str,
        step: tuple[str, Callable[[], None]] | None = None,
        about: str = "",
    ) -> None:
        """Show a message until it has served, or another comes.

        Good news has served with the next action, anything else with the next of its topic, once
        the case that it is about is left, or once the project is closed.

        Args:
            light: How bad it is.
            text: What happened.
            remedy: What to do next.
            topic: "project", "cases", "train", "review", "rounds", "use", "export" or "service".
            step: The words on the button and what it does.
            about: The case that it is about, or empty.
        """
        action = Action(enabled=True, text=step[0], tool_tip=remedy) if step else Action()
        self.facts.message = Message(light, text, remedy, action)
        self.facts.topic, self.facts.about_case = topic, about
        self.facts.is_passing = light is Light.GREEN
        self.message_step = step[1] if step else None
        self.is_dirty = True

    def tell_fault(
        self, fault: Fault, *, topic: str, go_on: Callable[[], None] | None = None
    ) -> None:
        """Show what went wrong, with the step that goes on from there.

        Args:
            fault: What happened.
            topic: As for `tell`.
            go_on: What "Continue" does.
        """
        is_of_job = topic in ("train", "use")
        self.folder = self.worker.job_folder if is_of_job else self.last_root
        do = go_on if fault.step is Step.GO_ON else self.steps.get(fault.step)
        if fault.step is Step.ON_CPU and go_on is not None:
            do = partial(self._go_on_on_cpu, go_on)
        step = (step_words(fault.step), do) if do else None
        self.tell(Light.RED, fault.text, fault.remedy, topic=topic, step=step)

    def _go_on_on_cpu(self, go_on: Callable[[], None]) -> None:
        self.facts.device = DeviceChoice.CPU
        go_on()

    def begin(self, topic: str) -> None:
        """Begin an action: an older message of its topic, or of the service, has served."""
        self.is_dirty = True
        if self.facts.is_passing or self.facts.topic in (topic, "service"):
            self.drop_message()

    def drop_message(self) -> None:
        """The message has served."""
        self.facts.message, self.facts.topic, self.message_step = Message(), "", None
        self.facts.is_passing, self.facts.about_case = False, ""
        self.is_dirty = True

    def may(self, why_not: Callable[[Facts], str], *, topic: str) -> bool:
        """Begin an action; return whether it is possible now, and say why if it is not."""
        self.begin(topic)
        return self.can(why_not, topic=topic)

    def can(self, why_not: Callable[[Facts], str], *, topic: str) -> bool:
        """Return whether an action that was begun is possible now, and say why if it is not."""
        if reason := why_not(self.facts):
            self.refuse(reason, topic=topic)
        return not reason

    def refuse(self, reason: str, *, topic: str) -> None:
        """Say why an action is not possible now; the next action shows whether it still is not."""
        self.tell(Light.AMBER, reason, topic=topic)
        self.facts.is_passing = True

    def is_heard(self, listener: str) -> bool:
        """Tell whether the panel has set this listener."""
        return getattr(self.listeners, listener) is not nobody

    def take_history(self, history: History) -> None:
        """Take the figures of the rounds."""
        self.facts.history = history.rounds


def step_words(step: Step) -> str:
    """Return what stands on the button of a step."""
    return {
        Step.NONE: "",
        Step.GO_ON: _("Continue"),
        Step.ON_CPU: _("Continue on the CPU"),
        Step.CHECK: _("Check the cases"),
        Step.OPEN_AGAIN: _("Open again"),
        Step.FOLDER: _("Show the folder"),
        Step.INSTALL: _("Install the packages"),
        Step.PROBE: _("Check this computer again"),
    }[step]
