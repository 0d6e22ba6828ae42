"""Training: rounds one after the other, pause, stop, and what is done when a worker ends."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.facts.training_facts import Ending, TrainingRun, Work, WorkKind
from PseudoLabelCLGui.presenter.faults import (
    Fault,
    Step,
    fault_of_crash,
    fault_of_failure,
    fault_of_start,
)
from PseudoLabelCLGui.presenter.leaving import Leaving
from PseudoLabelCLGui.presenter.reasons import (
    is_saving,
    newest_round,
    no_change,
    no_ending,
    no_pretrained,
    no_pretraining,
    no_start,
    no_stopping,
    no_training,
    wants_pretraining,
)
from PseudoLabelCLGui.presenter.waiting import num_waiting, waiting_words, work_words
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.bound_settings import is_round_0_trained
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.messages.answers import History
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    Event,
    JobCancelled,
    JobCompleted,
    JobFailed,
    TerminalEvent,
    WorkerCrashed,
)
from PseudoLabelCLLib.messages.jobs import DeviceChoice, Job, PretrainJob, TrainJob
from PseudoLabelCLLib.messages.project_view import ProjectView, RoundFigures
from PseudoLabelCLLib.messages.requests import (
    ChangeSettings,
    GoBack,
    ReadHistory,
    Refresh,
    SavePretrainedModel,
    StartFrom,
)
from PseudoLabelCLLib.process.job_files import new_job_id
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

# The state before round 0, for `GoBack`.
BEFORE_ALL = -1
# A round whose validation Dice rises by less is not counted as better.
LEAST_GAIN = 0.005
# Proposals of small volumes come faster than anybody reviews them.
LOOK_EVERY_S = 2.0


class TrainingActions:
    """The actions of step "train", and going back to an earlier round.

    Args:
        core: What all parts share.
        leaving: Asks about unsaved changes before a round is left.
        review: Begins the review after a round.
    """

    def __init__(self, core: Core, leaving: Leaving, review: Callable[[], None]) -> None:
        self._core = core
        self._leaving = leaving
        self._review = review
        self._last_run = TrainingRun(1)
        self._is_begun = False
        self._has_new_proposals = False
        self._looked_s = -LOOK_EVERY_S

    # --- settings

    def change_setting(self, name: str, value: str) -> None:
        """Change one setting by its name, such as "training.joint.num_steps".

        While another is being changed, it waits for that.
        """
        core = self._core
        if core.service.awaits(ChangeSettings) and core.facts.view is not None:
            core.facts.next_settings[name] = value
            core.is_dirty = True
        elif core.may(no_change, topic="train"):
            self._change_settings({name: value})

    def set_profile(self, name: str) -> None:
        """Choose the profile: "quick", "balanced", "paper", "legacy"."""
        self.change_setting("profile", name)

    def set_pretraining(self, name: str) -> None:
        """Choose the pre-training: "none", "global+local", "positional", "masked"."""
        self.change_setting("pretraining.method", name)

    def start_from(self, model: str) -> None:
        """Let round 0 start from a model file; from random weights where it is empty."""
        core = self._core
        if core.may(no_start, topic="train"):
            core.change(StartFrom(model), _("The model is being read."))

    def _change_settings(self, values: dict[str, str]) -> None:
        words = _("The settings are being changed.")
        self._core.change(
            ChangeSettings(values),
            words,
            lambda _view: self._change_next(),
            failed=self._change_next,
        )

    def _change_next(self) -> None:
        """Change the settings that waited."""
        facts = self._core.facts
        waiting = dict(facts.next_settings)
        facts.next_settings.clear()
        if waiting:
            self._change_settings(waiting)

    # --- what a person asks for

    def start(self, num_rounds: int = 1, stop_when_no_better: bool = False) -> None:
        """Train rounds; one that was interrupted goes on first and counts."""
        self._start(TrainingRun(max(1, num_rounds), stop_when_no_better), no_training)

    def pretrain(self) -> None:
        """Pre-train the network and train no round."""
        self._start(TrainingRun(0, only_pretrain=True), no_pretraining)

    def save_pretrained(self, file: str) -> None:
        """Save the pre-trained network as one file, from which other projects can start."""
        core = self._core
        if core.may(no_pretrained, topic="train"):
            core.ask(SavePretrainedModel(file), lambda _done: self._pretrained_saved(file))

    def _pretrained_saved(self, file: str) -> None:
        text = _("Pre-trained network saved: {file}").format(file=file)
        remedy = _("In another project, choose Train > Advanced > Start from a model...")
        self._core.tell(Light.GREEN, text, remedy, topic="train")

    def go_on(self) -> None:
        """Train again what did not come to its end."""
        run = self._last_run
        if run.only_pretrain:
            self.pretrain()
        else:
            self.start(run.rounds_left, run.stop_when_no_better)

    def pause(self) -> None:
        """Save and stop; the round goes on later."""
        self._end(Ending.PAUSE)

    def stop(self) -> None:
        """Give up the running or paused round or pre-training; the panel has asked before."""
        core = self._core
        view = core.facts.view
        if core.facts.work is not None or view is None or no_stopping(core.facts):
            self._end(Ending.STOP)
        else:
            core.begin("train")
            self._give_up(view.plan.index)

    def rest(self) -> None:
        """Save and stop because the project is left."""
        work = self._core.facts.work
        self._core.facts.run = None
        if work is not None and work.kind is not WorkKind.PREDICT:
            work.ending = Ending.PAUSE
            self._core.worker.request_cancel()

    # --- rounds

    def read_history(self) -> None:
        """Measure the rounds anew; `state.rounds` tells."""
        if self._core.facts.view is not None and not self._core.service.awaits(ReadHistory):
            self._read_history()

    def go_back(self, index: int) -> None:
        """Make an earlier round the newest, and put later ones aside; the panel asked before."""
        if self._core.may(no_change, topic="rounds"):
            self._leaving.before(partial(self._go_back, index))

    def _go_back(self, index: int) -> None:
        core = self._core
        if not core.can(no_change, topic="rounds"):
            return
        core.facts.review.round_index = None
        words = _("Going back to an earlier round.")
        core.change(GoBack(index), words, lambda _view: self._read_history())

    # --- starting

    def _start(self, run: TrainingRun, why_not: Callable[[Facts], str]) -> None:
        if not self._core.may(why_not, topic="train"):
            return
        if run.only_pretrain or self._goes_on_proposing():
            self._begin(run, why_not)
        else:
            self._leaving.before(partial(self._begin, run, why_not))

    def _goes_on_proposing(self) -> bool:
        """Tell whether the round makes the rest of its proposals: their review stays open."""
        view = self._core.facts.view
        return view is not None and view.plan.goes_on and view.round_in_review is not None

    def _begin(self, run: TrainingRun, why_not: Callable[[Facts], str]) -> None:
        if self._core.can(why_not, topic="train"):
            self._core.facts.run = self._last_run = run
            self._begin_next()

    def _begin_next(self) -> None:
        """Read the project once more, after every verdict on the way, then start the worker."""
        self._core.facts.is_starting = True
        self._core.ask(Refresh(), self._start_worker, failed=self._not_started)

    def _not_started(self) -> None:
        self._core.facts.is_starting = False
        self._core.facts.run = None

    def _start_worker(self, _view: ProjectView) -> None:
        facts, run = self._core.facts, self._core.facts.run
        facts.is_starting = False
        if run is None or facts.view is None:
            return
        if not self._core.can(no_pretraining if run.only_pretrain else no_training, topic="train"):
            facts.run = None
            return
        is_first = self._pretrains_first(facts.view, run)
        kind = WorkKind.PRETRAIN if is_first else WorkKind.TRAIN
        root = facts.view.root
        job: Job = (
            PretrainJob(root, facts.device)
            if is_first
            else TrainJob(root, 1, facts.device, facts.processes)
        )
        try:
            self._core.worker.start(job, ProjectLayout(Path(root)).job_folder(new_job_id(job)))
        except (PseudoLabelCLError, OSError) as error:
            facts.run = None
            fault = fault_of_start(error)
            self._core.tell_fault(fault, topic="train", go_on=self.go_on)
            return
        self._is_begun = self._has_new_proposals = False
        facts.monitor.begin()
        facts.work = Work(kind, root, facts.view.plan.index)
        if kind is WorkKind.TRAIN and not self._goes_on_proposing():
            self._leaving.leave()  # its first step closes the review

    def _pretrains_first(self, view: ProjectView, run: TrainingRun) -> bool:
        if run.only_pretrain:
            return True
        is_trained = is_round_0_trained(newest_round(view))
        is_due = wants_pretraining(view) and not view.is_pretrained and not is_trained
        return is_due and not run.has_pretrained

    # --- ending

    def _end(self, ending: Ending) -> None:
        core = self._core
        if core.may(no_ending, topic="train") and core.facts.work is not None:
            core.facts.run = None
            core.facts.work.ending = ending
            core.worker.request_cancel()

    # --- what the worker says

    def hear(self, event: Event) -> None:
        """Deal with an event of a worker that trains."""
        facts = self._core.facts
        facts.monitor.hear(event)
        if isinstance(event, TerminalEvent):
            self._ended(event)
        elif isinstance(event, Artifact) and event.kind == "proposal":
            self._has_new_proposals = True
        elif isinstance(event, Progress) and not self._is_begun:
            self._is_begun = True  # the round before is closed now
            if self._is_of_open_project():
                self._core.ask(Refresh(), is_quiet=True)

    def look_for_proposals(self) -> None:
        """Read the project once the worker has made proposals: the first at once, others seldom."""
        core = self._core
        is_time = core.clock() - self._looked_s >= LOOK_EVERY_S
        if not (self._has_new_proposals and is_time) or core.service.awaits(Refresh):
            return
        self._has_new_proposals = False
        if core.facts.work is not None and self._is_of_open_project():
            self._looked_s = core.clock()
            core.ask(Refresh(), is_quiet=True)

    def _is_of_open_project(self) -> bool:
        work, view = self._core.facts.work, self._core.facts.view
        return work is not None and view is not None and work.root == view.root

    def _ended(self, event: TerminalEvent) -> None:
        facts = self._core.facts
        work, is_own = facts.work, self._is_of_open_project()
        facts.work = None
        facts.monitor.begin()
        if work is None or not is_own:
            return
        if isinstance(event, JobFailed | WorkerCrashed):
            self._failed(event, work)
        elif isinstance(event, JobCompleted):
            self._completed(work)
        else:
            self._cancelled(event, work)

    def _failed(self, event: JobFailed | WorkerCrashed, work: Work) -> None:
        core = self._core
        is_on_cpu = core.facts.device is DeviceChoice.CPU or self._has_only_cpu()
        if isinstance(event, JobFailed):
            fault = fault_of_failure(event, is_on_cpu=is_on_cpu)
            core.facts.monitor.add_line(
                f"{translated(event.message)} {event.traceback}".strip(), warning=True
            )
        else:
            fault = fault_of_crash(event, is_on_cpu=is_on_cpu)
            core.facts.monitor.add_line(
                f"{translated(event.message)} {event.stderr_tail}", warning=True
            )
        core.facts.run = None
        if work.ending is Ending.STOP:
            self._give_up_work(work)
            return
        core.tell_fault(fault, topic="train", go_on=self.go_on)
        # a second message about the same disk would hide the first
        core.ask(Refresh(), failed=lambda: self._project_is_gone(fault), is_quiet=True)

    def _project_is_gone(self, fault: Fault) -> None:
        """The project cannot be read either: going on with the training would not help."""
        if self._core.facts.topic == "train":
            again = replace(fault, step=Step.OPEN_AGAIN)
            self._core.tell_fault(again, topic="train")

    def _has_only_cpu(self) -> bool:
        report = self._core.facts.readiness
        return report is not None and report.device_kind == "cpu"

    def _cancelled(self, event: JobCancelled, work: Work) -> None:
        core = self._core
        core.facts.run = None
        if work.ending is Ending.STOP:
            self._give_up_work(work)
            return
        what = work_words(work)
        text = _("{what} is paused.").format(what=what)
        if work.ending is Ending.NONE:
            text = _("{what} was stopped by something outside this program.").format(what=what)
        saved = _("Everything is saved; training continues where it stopped.")
        remedy = saved if event.resumable else _("Start it again.")
        step = (_("Continue"), self.go_on)
        core.tell(Light.AMBER, text, remedy, topic="train", step=step)
        self._after(work)

    def _completed(self, work: Work) -> None:
        facts, run = self._core.facts, self._core.facts.run
        if work.kind is WorkKind.PRETRAIN:
            if run is not None and not run.only_pretrain:
                run.has_pretrained = True
                self._begin_next()
                return
            facts.run = None
            text = _("The pre-training is done.")
            self._core.tell(Light.GREEN, text, _("Train round 0 next."), topic="train")
            self._after(work)
            return
        facts.review.round_index = None
        if run is not None:
            run.rounds_left -= 1
        self._after(work, lambda: self._round_is_done(work))

    def _after(self, _work: Work, then: Callable[[], None] | None = None) -> None:
        """Read what the worker left."""
        words = _("The project is being read.")
        self._core.change(Refresh(), words, lambda _view: then() if then else None)

    def _round_is_done(self, work: Work) -> None:
        run = self._core.facts.run
        if run is None or run.rounds_left < 1:
            self._tell_done(work, "")
            self._read_history()
            return
        if self._is_reviewing(work):
            self._tell_done(work, _("The next one waits until you have reviewed."))
            self._read_history()
            return
        self._core.facts.is_starting = True

        def decide(answer: History) -> None:
            self._core.take_history(answer)
            self._decide(work, run)

        def cannot() -> None:
            self._core.facts.is_starting = False
            self._tell_done(work, "")

        self._core.ask(ReadHistory(), decide, failed=cannot)

    def _decide(self, work: Work, run: TrainingRun) -> None:
        """Train the next round, unless the figures say that it is not worth its time."""
        why = stalled(self._core.facts.history) if run.stop_when_no_better else ""
        self._core.facts.is_starting = False
        if why:
            self._tell_done(work, why)
        else:
            self._begin_next()

    def _is_reviewing(self, work: Work) -> bool:
        """Tell whether the person is in the middle of reviewing what the worker has just made."""
        review, view = self._core.facts.review, self._core.facts.view
        is_shown = review.identity is not None and review.identity.round_index == work.round_index
        is_unfinished = review.is_edited or is_saving(self._core.facts)
        return is_shown and (is_unfinished or (view is not None and num_waiting(view) > 0))

    def _tell_done(self, work: Work, why: str) -> None:
        core = self._core
        core.facts.run = None
        view = core.facts.view
        waiting = num_waiting(view) if view else 0
        text = f"{_('Round {index} is done.').format(index=work.round_index)} {why}".strip()
        if work.ending is Ending.STOP:
            text += " " + _(
                "It finished before it could be stopped; you can still go back to an earlier round."
            )
        if waiting:
            remedy = waiting_words(waiting)
            if any(one.round_index == work.round_index for one in core.facts.review.looked_at):
                remedy = f"{remedy} {_('All are there now, and the rest is ordered by doubt.')}"
            step = (_("Review"), self._review)
            core.tell(Light.GREEN, text, remedy, topic="train", step=step)
        else:
            core.tell(Light.GREEN, text, topic="train")

    # --- giving up

    def _give_up_work(self, work: Work) -> None:
        if work.kind is WorkKind.PRETRAIN:
            self._after(work, self._give_up_pretraining)
        else:
            self._after(work, lambda: self._give_up_if_begun(work))

    def _give_up_pretraining(self) -> None:
        """Put its checkpoint aside; without one the service refuses, and nothing is left to do."""
        core = self._core
        text = _("The pre-training was discarded.")
        aside = _("What it had learned stays in the project folder, but is no longer used.")
        words = _("Train starts it again; to train without it, choose no pre-training.")

        def tell(*remedies: str) -> None:
            core.end_change()
            core.tell(Light.AMBER, text, " ".join(remedies), topic="train")

        if core.facts.view is None or core.facts.view.rounds:
            tell(words)  # going before round 0 would give that up as well
            return
        core.facts.changing = _("The pre-training is being discarded.")
        core.ask(
            GoBack(BEFORE_ALL),
            lambda _view: tell(aside, words),
            failed=lambda: tell(words),
            is_quiet=True,
        )

    def _give_up_if_begun(self, work: Work) -> None:
        view = self._core.facts.view
        if view is not None and view.plan.goes_on and view.plan.index == work.round_index:
            self._give_up(work.round_index)
        else:
            self._tell_given_up(work.round_index)

    def _give_up(self, index: int) -> None:
        words = _("The round is being discarded.")
        self._core.change(GoBack(index - 1), words, lambda _view: self._tell_given_up(index))

    def _tell_given_up(self, index: int) -> None:
        text = _("Round {index} was discarded; the project is as it was before that round.")
        self._core.tell(Light.AMBER, text.format(index=index), topic="train")
        self._read_history()

    def _read_history(self) -> None:
        self._core.ask(ReadHistory(), self._core.take_history)


def stalled(history: tuple[RoundFigures, ...]) -> str:
    """Return why no further round is worth its time, or nothing."""
    if len(history) < 2:
        return ""
    before, now = history[-2].validation_dice, history[-1].validation_dice
    if before is None or now is None or now - before >= LEAST_GAIN:
        return ""
    text = _("Training stopped because validation Dice only went from {before:.3f} to {now:.3f}.")
    return text.format(before=before, now=now)
