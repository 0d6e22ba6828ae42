"""The presenter under random actions and events in any order: what must never happen."""

from dataclasses import fields
from operator import attrgetter

from a_presenter import Stage
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from presenter_fakes import LABELS, ROOT, Disk
from PseudoLabelCLGui.panel_state import Action, Light
from PseudoLabelCLGui.presenter import ExportChoices

from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.review import TruthExtent
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.answers import DicomFinding, ExportFix
from PseudoLabelCLLib.messages.job_messages import JobFailed, WorkerCrashed
from PseudoLabelCLLib.messages.jobs import TrainJob
from PseudoLabelCLLib.messages.readiness import ReadinessReport
from PseudoLabelCLLib.messages.requests import (
    Accept,
    CheckDicomExport,
    Correct,
    ExportDicom,
    OpenProject,
    Refresh,
    Reject,
    ShowCase,
    TakeBackVerdict,
)

LOST = DicomFinding("u0", True, "The series is gone.", "Find it.", ExportFix.FIND_SERIES)
CASES = st.sampled_from(["a", "u0", "u1", "u2", "nobody"])
ERRORS = st.sampled_from(
    ["StorageError", "ProjectError", "ProjectInUseError", "InternalError", "ReviewError"]
)
# Every action that takes no argument.
PLAIN = [
    "readiness.probe", "project.close", "cases.check", "train.start", "train.pretrain",
    "train.pause", "train.stop", "review.next_case", "review.previous_case", "review.accept",
    "review.reject", "review.take_back", "train.read_history", "use.load_newest_model",
    "use.cancel", "export.cancel", "message_step", "leave_module", "enter_module", "go_to_next",
    "review.case_is_lost", "review.scene_is_closed",
]  # fmt: skip
VERDICTS = ["review.accept", "review.reject", "review.take_back"]


class AnyOrder(RuleBasedStateMachine):
    """Service and worker move only when a rule says so: answers may come late or never."""

    @initialize(
        rounds=st.sampled_from([(), (RoundState.IN_REVIEW,), (RoundState.TRAINING,)]),
        is_slow=st.booleans(),
    )
    def begin(self, rounds, is_slow):
        self.num_verdicts_given = 0
        self.stage = Stage(Disk.with_cases(3, rounds), by_hand=True)
        self.presenter = self.stage.presenter
        self.presenter.project.open(ROOT)
        if not is_slow:
            self.time_passes()
        if rounds == (RoundState.IN_REVIEW,):
            self.a_review_as_usual("u0", "review.accept")

    # --- what a person does

    @rule(name=st.sampled_from(PLAIN))
    def act(self, name):
        self.num_verdicts_given += name in VERDICTS
        attrgetter(name)(self.presenter)()

    @rule()
    def open_again(self):
        self.presenter.project.open(ROOT)

    @rule(case_id=CASES)
    def show(self, case_id):
        self.presenter.review.show_case(case_id)

    @rule(ids=st.lists(CASES, max_size=3))
    def accept_many(self, ids):
        self.num_verdicts_given += 1
        self.presenter.review.accept_many(tuple(ids))

    @rule(ids=st.lists(CASES, max_size=3))
    def reject_many(self, ids):
        self.num_verdicts_given += 1
        self.presenter.review.reject_many(tuple(ids))

    @rule(index=st.integers(0, 2))
    def answer(self, index):
        self.num_verdicts_given += 1
        self.presenter.answer(index)

    @rule(extent=st.sampled_from(list(TruthExtent)))
    def correction(self, extent):
        self.presenter.review.choose_extent(extent)
        self.presenter.review.preview_correction("/now.seg.nrrd")

    @rule(is_edited=st.booleans())
    def edit(self, is_edited):
        self.presenter.review.case_is_edited(is_edited)

    @rule()
    def correct(self):
        self.num_verdicts_given += 1
        self.presenter.review.correct("/mine.seg.nrrd")

    @rule(case_id=CASES, role=st.sampled_from(list(CaseRole)))
    def set_role(self, case_id, role):
        self.presenter.cases.set_role((case_id,), role)

    @rule(case_id=CASES)
    def remove(self, case_id):
        self.presenter.cases.remove((case_id,))

    @rule()
    def add(self):
        self.presenter.cases.add_volumes((NewCase("u1", CaseRole.UNLABELLED, "/u1"),))
        self.presenter.cases.add_paths(("/x", "/y"), CaseRole.ANNOTATED)

    @rule(index=st.integers(-1, 2))
    def rounds(self, index):
        self.presenter.review.show_round(index)
        self.presenter.train.go_back(index)

    @rule(number=st.integers(1, 3), stop=st.booleans())
    def train_several(self, number, stop):
        self.presenter.train.start(number, stop)

    @rule()
    def make(self):
        self.presenter.project.new("/new", "New", LABELS)

    @rule()
    def use(self):
        self.presenter.use.load_model("/m.plcl")
        self.presenter.use.apply(("x", "y"), "/out")

    @rule(method=st.sampled_from(["none", "positional"]))
    def pretraining(self, method):
        self.presenter.train.set_pretraining(method)

    @rule(works=st.booleans())
    def readiness(self, works):
        missing = () if works else ("torch>=2.4",)
        self.presenter.readiness.found(ReadinessReport("p", torch_works=works, missing=missing))

    @rule(case_ids=st.lists(CASES, max_size=2), is_lost=st.booleans())
    def export(self, case_ids, is_lost):
        self.stage.disk.findings = {"u0": (LOST,)} if is_lost else {}
        choices = ExportChoices("/out", case_ids=tuple(case_ids), include_unreviewed=True)
        self.presenter.export.write_dicom(choices)

    @rule()
    def look_in(self):
        self.presenter.export.look_in("/moved")

    # --- what happens

    @rule(number=st.integers(1, 4))
    def service_works(self, number):
        if self.stage.services:
            self.stage.service.handle(number)

    @rule()
    def time_passes(self):
        for _ in range(8):
            if self.stage.services:
                self.stage.service.handle(10)
            self.presenter.tick()

    @rule(ending=st.sampled_from(["finish", "finish", "stop"]))
    def a_round_as_usual(self, ending):
        self.stage.disk.exists = True
        self.presenter.train.start()
        self.time_passes()
        if self.running is not None:
            self.worker_moves(ending)
        self.time_passes()

    @rule(case_id=CASES, verdict=st.sampled_from(VERDICTS))
    def a_review_as_usual(self, case_id, verdict):
        self.presenter.review.case_is_edited(False)
        self.presenter.review.show_case(case_id)
        self.time_passes()
        self.act(verdict)
        self.time_passes()

    @rule()
    def tick(self):
        self.presenter.tick()

    @rule(
        kind=st.sampled_from(
            [Accept, Correct, Reject, Refresh, ShowCase, OpenProject, ExportDicom, CheckDicomExport]
        ),
        error=ERRORS,
    )
    def service_will_refuse(self, kind, error):
        if self.stage.services:
            self.stage.service.refuse(kind, error)

    @rule()
    def service_crashes(self):
        if self.stage.services and not self.stage.service.has_ended:
            self.stage.service.crash()

    @rule(exists=st.sampled_from([True, True, False]))
    def folder(self, exists):
        self.stage.disk.exists = exists

    @rule(ending=st.sampled_from(["begin", "propose", "finish", "stop", "crash", "fail"]))
    def worker_moves(self, ending):
        worker = self.running
        if worker is None:
            return
        if ending == "propose":
            self._propose(worker)
            return
        if ending in ("finish", "stop") and isinstance(worker.job, TrainJob):
            worker.begin()
        if ending == "crash":
            worker.end_with(WorkerCrashed(-9, "It was killed.", ""))
        elif ending == "fail":
            worker.end_with(JobFailed("StorageError", "The disk is full.", ""))
        else:
            getattr(worker, ending)()

    def _propose(self, worker):
        """Let a training make one more proposal, where there is a case that waits for one."""
        if not isinstance(worker.job, TrainJob):
            return
        if not self.stage.disk.is_interrupted:
            worker.begin()
        there = self.stage.disk.there if self.stage.disk.is_proposing else set()
        left = [one for one in self.stage.disk.unlabelled() if one not in there]
        worker.propose(*left[:1])

    @property
    def running(self):
        alive = [worker for worker in self.stage.workers if worker.is_alive]
        return alive[0] if alive else None

    # --- what must hold whatever happens

    @invariant()
    def never_two_workers(self):
        if hasattr(self, "stage"):
            assert sum(worker.is_alive for worker in self.stage.workers) <= 1

    @invariant()
    def train_is_disabled_while_a_worker_runs(self):
        if hasattr(self, "stage") and self.running is not None:
            assert not self.presenter.state.train.train.enabled
            assert not self.presenter.state.rounds.train.enabled

    @invariant()
    def every_disabled_button_gives_its_reason(self):
        if not hasattr(self, "stage"):
            return
        for section in vars(self.presenter.state).values():
            for one in () if isinstance(section, tuple) else fields(section):
                value = getattr(section, one.name)
                if isinstance(value, Action) and one.name != "next_step" and not value.enabled:
                    assert value.tool_tip, f"{type(section).__name__}.{one.name}"

    @invariant()
    def a_verdict_is_only_possible_on_the_newest_proposal_in_the_views(self):
        if not hasattr(self, "stage"):
            return
        state, view = self.presenter.state, self.presenter._core.facts.view
        if state.review.accept.enabled or state.review.reject.enabled:
            assert state.review.identity is not None
            assert view.case(state.review.case_id).proposal == state.review.identity
            assert view.round_in_review is not None
            assert not state.message.answers

    @invariant()
    def a_shown_message_says_something(self):
        if hasattr(self, "stage"):
            message = self.presenter.state.message
            assert not (message.answers and message.next_step.text)
            assert all(answer.enabled and answer.text for answer in message.answers)
            assert bool(message.text) == (message.light is not Light.NONE)
            assert message.next_step.enabled == bool(message.next_step.text)

    def teardown(self):
        """In the end, with the disk back and all answered, the panel shows what the disk has."""
        if not hasattr(self, "stage"):
            return
        stage = self.stage
        stage.disk.exists, stage.by_hand = True, False
        for service in stage.services:
            service.by_hand = False
            service.refusals.clear()
        stage.settle()
        while self.running is not None:
            self.worker_moves("stop")
            stage.settle()
        self.presenter.project.open(ROOT)
        stage.settle()
        state = self.presenter.state
        assert state.project.root == ROOT
        assert state.cases.add.enabled
        assert not state.export.is_running
        if stage.disk.roles:
            assert state.export.export.enabled
        newest = len(stage.disk.rounds) - 1
        told = {row.case_id: row.verdict for row in state.review.queue}
        if stage.disk.in_review or stage.disk.is_proposing:
            for (index, case_id), verdict in stage.disk.verdicts.items():
                if index == newest and case_id in told:
                    assert told[case_id] == verdict.value
        self._every_question_ends()
        self._no_verdict_was_asked_twice()

    def _every_question_ends(self):
        for _ in range(5):
            if self.presenter.state.message.answers:
                self.presenter.answer(0)
                self.stage.settle()
        assert not self.presenter.state.message.answers

    def _no_verdict_was_asked_twice(self):
        """What was lost with a service is never sent to the next one by itself."""
        verdicts = (Accept, Correct, Reject, TakeBackVerdict)
        num_sent = sum(
            isinstance(r, verdicts) for service in self.stage.services for r in service.asked
        )
        assert num_sent <= self.num_verdicts_given


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
