"""Whatever a verdict stores is bit for bit what was in the views when it was given."""

import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from line_desk import LineDesk
from presenter_fakes import Clock
from PseudoLabelCLGui.presenter import Presenter
from round_maker import SCHEMA, SIZE, UNLABELLED, RoundMaker, StandInWorker, make_project
from screen_panel import ScreenPanel

from PseudoLabelCLLib.domain.desk_requests import Accept, Correct, Reject, TakeBackVerdict
from PseudoLabelCLLib.domain.review import TruthExtent, Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.storage.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

CASES = st.sampled_from(UNLABELLED)
PLACES = st.tuples(*(st.integers(0, size - 1) for size in SIZE[::-1]))
REJECTED = None
NUM_SEQUENCES = 500
NUM_STEPS = 24


@functools.cache
def template() -> Path:
    """A project in the review of round 0; every sequence has a copy."""
    folder = Path(tempfile.mkdtemp(prefix="identity-"))
    make_project(folder / "project")
    return folder


class NoImages:
    """A scene without volumes, and a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has_image(self, _case_id: str) -> bool:
        return True

    def temporary_folder(self) -> Path:
        return self._folder


class Identity(RuleBasedStateMachine):
    """A person at the panel, a worker and a desk that move only when a rule says so."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="identity-"))
        shutil.copytree(template(), self.folder, dirs_exist_ok=True)
        self.root = self.folder / "project"
        self.maker = RoundMaker(self.root)
        self.desk: LineDesk | None = None
        self.worker: StandInWorker | None = None
        # what each request will store, and what each verdict on disk has stored, by its proposal
        self.expected: dict[int, dict] = {}
        self.stored: dict[tuple[int, str], list[np.ndarray | None]] = {}
        self.on_screen: np.ndarray | None = None
        self.listed: dict[str, np.ndarray] = {}
        self.presenter = Presenter(
            self._start_desk, self._start_worker, scene=NoImages(self.folder), clock=Clock()
        )
        self.panel = ScreenPanel(self.presenter, SCHEMA, self.folder)

    def _start_desk(self) -> LineDesk:
        self.desk = LineDesk(self._asked, self._met)
        return self.desk

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

    def _met(self, number: int, request, answered) -> None:
        """A verdict was met: what lies on disk is what it was given on."""
        if answered is None:
            return
        if isinstance(request, TakeBackVerdict):
            self.stored[self._key(request.proposal)].pop()
        for proposal, labels in self.expected.pop(number, {}).items():
            self.stored.setdefault(self._key(proposal), []).append(labels)
            self._check(self._key(proposal))

    def _key(self, proposal) -> tuple[int, str]:
        return proposal.round_index, proposal.case_id

    def _check(self, key: tuple[int, str]) -> None:
        index, case_id = key
        expected = self.stored[key][-1] if self.stored.get(key) else "nothing"
        reviews = load_project(self.root).reviews_of(case_id)
        review = next((one for one in reviews if one.round_index == index), None)
        if isinstance(expected, str):
            assert review is None
        elif expected is REJECTED:
            assert review is not None
            assert review.verdict is Verdict.REJECTED
        else:
            assert review is not None
            file = ProjectLayout(self.root).resolve(review.segmentation)
            found = read_segmentation(file, SCHEMA)[0].array
            assert np.array_equal(found, expected), f"{case_id} of round {index}"

    # --- how it begins

    @initialize(num_rounds=st.integers(1, 2))
    def begin(self, num_rounds):
        for _ in range(num_rounds):
            self.maker.begin()
            self.maker.finish()
        self.presenter.open_project(str(self.root))
        self.time_passes()
        self.presenter.show_case("u1")
        self.time_passes()

    # --- what a person does

    @rule(case_id=CASES)
    def show(self, case_id):
        self.presenter.show_case(case_id)

    @rule(name=st.sampled_from(["next_case", "previous_case"]))
    def step(self, name):
        getattr(self.presenter, name)()

    @rule(place=PLACES, label=st.integers(0, 2))
    def draw(self, place, label):
        self.panel.draw(place, label)

    @rule()
    def undo(self):
        self.panel.undo()

    @rule(extent=st.sampled_from(list(TruthExtent)))
    def choose_extent(self, extent):
        self.presenter.choose_extent(extent)

    @rule()
    def accept(self):
        self._press(self.presenter.accept)

    @rule()
    def reject(self):
        self._press(self.presenter.reject)

    @rule()
    def take_back(self):
        self._press(self.presenter.take_back)

    @rule(ids=st.lists(CASES, min_size=1, max_size=3, unique=True), is_accepted=st.booleans())
    def judge_many(self, ids, is_accepted):
        view = self.presenter._core.facts.view
        cases = view.cases if view is not None else ()
        if not self.presenter.state.message.answers:
            self.listed = {
                case.proposal.fingerprint: self.maker.made[case.proposal.fingerprint]
                for case in cases
                if case.proposal is not None and case.id in ids
            }
        many = self.presenter.accept_many if is_accepted else self.presenter.reject_many
        many(tuple(ids))

    @precondition(lambda self: self.presenter.state.message.answers)
    @rule(index=st.integers(0, 2))
    def answer(self, index):
        answers = self.presenter.state.message.answers
        index = min(index, len(answers) - 1)
        self.panel.may_discard = "iscard" in answers[index].text
        self.presenter.answer(index)
        self.time_passes()
        self.panel.may_discard = False

    @rule()
    def train(self):
        self.presenter.train()

    @rule()
    def train_a_whole_round(self):
        self.presenter.train()
        self.time_passes()
        self.worker_moves("finish")
        self.time_passes()

    @rule(name=st.sampled_from(["close_project", "leave_module", "enter_module"]))
    def leave(self, name):
        getattr(self.presenter, name)()

    @rule()
    def open_project(self):
        self.presenter.open_project(str(self.root))

    @rule(index=st.integers(0, 1))
    def look_at_an_earlier_round(self, index):
        self.presenter.show_round(index)

    @rule(goes_on=st.booleans())
    def go_on_after_verdict(self, goes_on):
        self.presenter.go_on_after_verdict(goes_on)

    # --- what happens

    @rule()
    def time_passes(self):
        for _ in range(6):
            if self.desk is not None:
                self.desk.meet(10)
            self.presenter.tick()
            self.panel.tick()

    @rule(number=st.integers(1, 2))
    def desk_works(self, number):
        if self.desk is not None:
            self.desk.meet(number)

    @rule()
    def presenter_hears(self):
        self.presenter.tick()

    @rule()
    def panel_works(self):
        self.panel.tick()

    @rule(what=st.sampled_from(["begin", "finish", "finish", "crash"]))
    def worker_moves(self, what):
        if self.worker is not None and self.worker.is_alive:
            getattr(self.worker, what)()

    @rule()
    def somebody_proposes_anew(self):
        """Another program has trained the round again: the same round, other proposals."""
        is_idle = self.worker is None or not self.worker.is_alive
        if is_idle and self.maker.state[1] is RoundState.IN_REVIEW:
            self.maker.propose()

    @rule()
    def desk_is_killed(self):
        if self.desk is not None:
            self.desk.kill()

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

    def _press(self, action) -> None:
        self._remember_screen()
        self.is_single = True
        action()
        self.is_single = False

    is_single = False

    def teardown(self):
        """In the end every verdict on disk is still the one that was given."""
        try:
            for key in self.stored:
                self._check(key)
            given = {key for key, verdicts in self.stored.items() if verdicts}
            project = load_project(self.root)
            assert {(r.round_index, r.case_id) for r in project.reviews} == given
        finally:
            if self.desk is not None:
                self.desk.close()
            shutil.rmtree(self.folder, ignore_errors=True)


Identity.TestCase.settings = settings(
    max_examples=NUM_SEQUENCES,
    stateful_step_count=NUM_STEPS,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestIdentity = pytest.mark.slow(Identity.TestCase)
