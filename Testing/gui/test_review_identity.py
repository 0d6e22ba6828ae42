"""Whatever a verdict stores is bit for bit what was in the views when it was given."""

import atexit
import functools
import json
import os
import shutil
import tempfile
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from line_service import LineService
from presenter_fakes import Clock
from PseudoLabelCLGui.presenter import Presenter
from round_maker import SCHEMA, SIZE, UNLABELLED, RoundMaker, StandInWorker, make_project
from screen_panel import ScreenPanel

from PseudoLabelCLLib.domain.review import TruthExtent, Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.requests import Accept, Correct, Reject, TakeBackVerdict
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

CASES = st.sampled_from(UNLABELLED)
PLACES = st.tuples(*(st.integers(0, size - 1) for size in SIZE[::-1]))
EXTENTS = st.sampled_from(list(TruthExtent))
VERDICTS = st.sampled_from(
    ["review.accept"] * 3 + ["review.reject", "review.take_back"],
)
REJECTED = None
NUM_SEQUENCES, FEW_SEQUENCES = 500, 100
NUM_STEPS = 10


@functools.cache
def template() -> tuple[Path, dict[str, np.ndarray]]:
    """A project in the review of round 0, and its proposals; every sequence has a copy."""
    folder = Path(tempfile.mkdtemp(prefix="identity-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make_project(folder / "project")
    maker = RoundMaker(folder / "project")
    maker.begin()
    maker.finish()
    return folder, maker.made


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Nothing here is about power failures; other tests are."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


class NoImages:
    """A scene without volumes, and a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has_image(self, _case_id: str) -> bool:
        return True

    def temporary_folder(self) -> Path:
        return self._folder


class Identity(RuleBasedStateMachine):
    """A person at the panel, a worker and a service that move only when a rule says so."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="identity-"))
        folder, made = template()
        shutil.copytree(folder, self.folder, dirs_exist_ok=True)
        self.root = self.folder / "project"
        self.maker = RoundMaker(self.root, made)
        self.service: LineService | None = None
        self.worker: StandInWorker | None = None
        # what each request will store, and what each verdict on disk has stored, by its proposal
        self.expected: dict[int, dict] = {}
        self.stored: dict[tuple[int, str], list[np.ndarray | None]] = {}
        self.on_screen: np.ndarray | None = None
        self.listed: dict[str, np.ndarray] = {}
        self.clock = Clock()
        self.presenter = Presenter(
            self._start_service, self._start_worker, scene=NoImages(self.folder), clock=self.clock
        )
        self.panel = ScreenPanel(self.presenter, SCHEMA, self.folder)

    def _start_service(self) -> LineService:
        self.expected.clear()  # a service that is gone handles nothing more
        self.service = LineService(self._asked, self._handled)
        return self.service

    def _start_worker(self, _job, _folder) -> StandInWorker:
        assert self.worker is None or not self.worker.is_alive
        self.worker = StandInWorker(self.maker)
        return self.worker

    # --- the truth: what was in the views, and what came to lie on disk

    def _remember_screen(self) -> None:
        screen = self.panel.screen
        self.on_screen = None if screen is None else screen.now.copy()

    def _asked(self, number: int, request) -> None:
        """A verdict has left the presenter: note what it was given on."""
        if isinstance(request, Correct):
            assert self.panel.written is not None
            self.expected[number] = {request.proposal: self.panel.written}
        elif isinstance(request, Accept) and len(request.proposals) == 1 and self.is_single:
            assert self.on_screen is not None, "accepted while nothing is in the views"
            self.expected[number] = {request.proposals[0]: self.on_screen}
        elif isinstance(request, Accept):
            for one in request.proposals:
                assert one.fingerprint in self.listed, "accepted what was not listed"
            self.expected[number] = {one: self.listed[one.fingerprint] for one in request.proposals}
        elif isinstance(request, Reject):
            self.expected[number] = dict.fromkeys(request.proposals, REJECTED)

    def _handled(self, number: int, request, answered) -> None:
        """A verdict was saved: what lies on disk is what it was given on."""
        if answered is None:
            return
        if isinstance(request, TakeBackVerdict):
            self._taken_back(self._key(request.proposal))
        for proposal, labels in self.expected.pop(number, {}).items():
            self.stored.setdefault(self._key(proposal), []).append(labels)
            self._check(self._key(proposal))

    def _key(self, proposal) -> tuple[int, str]:
        return proposal.round_index, proposal.case_id

    def _check(self, key: tuple[int, str]) -> None:
        assert self._holds(key), f"round and case {key}"

    def _taken_back(self, key: tuple[int, str]) -> None:
        """One of the verdicts before counts again; the same one given twice at once counts once."""
        verdicts = self.stored[key]
        verdicts.pop()
        while verdicts and not self._holds(key):
            verdicts.pop()
        self._check(key)

    def _holds(self, key: tuple[int, str]) -> bool:
        """Tell whether the newest verdict that was noted is what lies on disk."""
        layout, expected = ProjectLayout(self.root), self.stored[key][-1:]
        file = layout.review(*key)
        if not expected or not file.exists():
            return not expected and not file.exists()
        review = json.loads(file.read_text("utf-8"))
        if expected[0] is REJECTED or review["segmentation"] is None:
            return expected[0] is REJECTED and review["verdict"] == Verdict.REJECTED.value
        found = read_segmentation(layout.resolve(review["segmentation"]), SCHEMA)[0].array
        return np.array_equal(found, expected[0])

    # --- how it begins

    @initialize(has_second_round=st.booleans())
    def begin(self, has_second_round):
        if has_second_round:
            self.maker.begin()
            self.maker.finish()
        self.presenter.project.open(str(self.root))
        self.time_passes()
        self.presenter.review.show_case("u1")
        self.time_passes()

    # --- what a person does

    @rule(where=CASES | st.sampled_from(["next_case", "previous_case", "round 0", "round 1"]))
    def look_at(self, where):
        if where in UNLABELLED:
            self.presenter.review.show_case(where)
        elif where.startswith("round"):
            self.presenter.review.show_round(int(where[-1]))
        else:
            getattr(self.presenter.review, where)()

    @rule(place=st.none() | PLACES, further=st.integers(1, 2), extent=EXTENTS)
    def draw_or_undo(self, place, further, extent):
        self.presenter.review.choose_extent(extent)
        if place is None:
            self.panel.undo()
        else:
            self.panel.draw(place, further)

    @rule(name=VERDICTS)
    def press(self, name):
        """Press a button, whether or not it is enabled."""
        self._remember_screen()
        self.is_single = True
        attrgetter(name)(self.presenter)()
        self.is_single = False

    @rule(case_id=CASES, place=st.none() | PLACES, further=st.integers(1, 2), name=VERDICTS)
    def judge_as_usual(self, case_id, place, further, name):
        """Look at a case, draw perhaps, and judge what is in the views."""
        self._come_to_work()
        self.presenter.review.show_case(case_id)
        self.time_passes()
        if place is not None:
            self.panel.draw(place, further)
        self.press(name)
        self.time_passes()

    def _come_to_work(self):
        """Bring what stands in the way of a review to its end."""
        self.worker_moves("finish")
        self.time_passes()
        if not self.presenter.state.project.root or not self.presenter.state.cases.add.enabled:
            self.presenter.project.open(str(self.root))
            self.time_passes()
        if answers := self.presenter.state.message.answers:
            self.presenter.answer(len(answers) - 1)
            self.time_passes()

    @rule(ids=st.lists(CASES, min_size=1, max_size=3, unique=True), is_accepted=st.booleans())
    def judge_many(self, ids, is_accepted):
        self._come_to_work()
        view = self.presenter._core.facts.view
        cases = view.cases if view is not None else ()
        if not self.presenter.state.message.answers:
            self.listed = {
                case.proposal.fingerprint: self.maker.made[case.proposal.fingerprint]
                for case in cases
                if case.proposal is not None and case.id in ids
            }
        many = (
            self.presenter.review.accept_many if is_accepted else self.presenter.review.reject_many
        )
        many(tuple(ids))
        self.time_passes()

    @precondition(lambda self: self.presenter.state.message.answers)
    @rule(index=st.integers(0, 2))
    def answer(self, index):
        answers = self.presenter.state.message.answers
        index = min(index, len(answers) - 1)
        self.panel.may_discard = "iscard" in answers[index].text
        self.presenter.answer(index)
        self.time_passes()
        self.panel.may_discard = False

    @rule(is_whole=st.booleans())
    def train(self, is_whole):
        self.presenter.train.start()
        if is_whole:
            self.time_passes()
            self.worker_moves("finish")
            self.time_passes()

    @rule(case_id=CASES, place=st.none() | PLACES, further=st.integers(1, 2), name=VERDICTS)
    def judge_while_the_rest_is_made(self, case_id, place, further, name):
        """Train, and judge what is there while the worker goes on, is killed, or ends."""
        self._come_to_work()
        self.presenter.train.start()
        self.time_passes()
        self.worker_moves("propose")
        self.time_passes()
        self.presenter.review.show_case(case_id)
        self.time_passes()
        if place is not None:
            self.panel.draw(place, further)
        self.worker_moves("propose")
        self.press(name)
        self.time_passes()

    @rule(name=st.sampled_from(["project.close", "project.open", "leave_module", "enter_module"]))
    def leave_or_come(self, name):
        if name == "project.open":
            self.presenter.project.open(str(self.root))
        else:
            attrgetter(name)(self.presenter)()

    @rule(goes_on=st.booleans())
    def go_on_after_verdict(self, goes_on):
        self.presenter.review.go_on_after_verdict(goes_on)

    # --- what happens

    @rule()
    def time_passes(self):
        self.clock.now += 10.0
        for _ in range(6):
            if self.service is not None:
                self.service.handle(10)
            self.presenter.tick()
            self.panel.tick()

    @rule(who=st.sampled_from(["presenter", "panel", "service"]), number=st.integers(1, 2))
    def one_moves(self, who, number):
        if who == "presenter":
            self.presenter.tick()
        elif who == "panel":
            self.panel.tick()
        elif self.service is not None:
            self.service.handle(number)

    @rule(what=st.sampled_from(["begin", "propose", "propose", "finish", "finish", "crash"]))
    def worker_moves(self, what):
        if self.worker is not None and self.worker.is_alive:
            getattr(self.worker, what)()

    @rule(is_killed=st.booleans())
    def something_else_happens(self, is_killed):
        """The service is killed, or another program has proposed anew in the same round."""
        is_idle = self.worker is None or not self.worker.is_alive
        if is_killed and self.service is not None:
            self.service.kill()
        elif is_idle and self.maker.state is RoundState.IN_REVIEW:
            self.maker.propose()

    # --- what must hold

    @invariant()
    def no_verdict_while_something_is_asked(self):
        state = self.presenter.state
        if state.message.answers:
            assert not state.review.accept.enabled
            assert not state.review.reject.enabled

    @invariant()
    def accepting_is_only_offered_on_what_is_in_the_views(self):
        state, screen = self.presenter.state, self.panel.screen
        if state.review.accept.enabled:
            assert screen is not None
            assert screen.files.identity == state.review.identity
            is_edited = state.review.accept.text == "Save correction"
            if not is_edited:
                proposed = self.maker.made[screen.files.identity.fingerprint]
                assert np.array_equal(screen.now, proposed)

    is_single = False

    def teardown(self):
        """In the end every verdict on disk is still the one that was given."""
        try:
            for key in self.stored:
                self._check(key)
            project = load_project(self.root)
            given = {key for key, verdicts in self.stored.items() if verdicts}
            assert {(r.round_index, r.case_id) for r in project.reviews} == given
        finally:
            if self.service is not None:
                self.service.close()
            shutil.rmtree(self.folder, ignore_errors=True)


def sequences(number: int) -> type:
    """A test of so many sequences."""

    class Sequences(Identity.TestCase):
        settings = settings(
            max_examples=number,
            stateful_step_count=NUM_STEPS,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )

    return Sequences


TestIdentity = pytest.mark.slow(sequences(FEW_SEQUENCES))
TestIdentityAtLength = pytest.mark.long(pytest.mark.slow(sequences(NUM_SEQUENCES)))
