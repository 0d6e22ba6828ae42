"""Random reviews at the service: a verdict stores what the named proposal stands for, no more."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from small_projects import GRID, SCHEMA, make_project, put_in_review, write_drawing

from PseudoLabelCLLib.curation.review.truth_mask import near_changed, read_truth_mask
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.review import ProposalIdentity, TruthExtent, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.messages import requests as ask
from PseudoLabelCLLib.project_service.handle_request import handle
from PseudoLabelCLLib.project_service.project_session import ProjectSession
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

pytestmark = pytest.mark.slow
CASES = ("other-1", "other-2")
# What may happen between the moment a proposal is on the screen and the verdict.
MEANWHILE = st.sampled_from(("nothing", "nothing", "file", "round"))


def random_labels(seed):
    """Structures of 1 and 2 that no other seed gives."""
    rng = np.random.default_rng(seed)
    array = np.zeros(GRID.array_shape, np.int16)
    for number in range(1, 4):
        row, column = rng.integers(1, 8, 2)
        array[number, row : row + 9, column : column + 8] = 1
        array[number, row + 2 : row + 5, column + 2 : column + 5] = 2
    array[0].flat[:12] = 1 + rng.integers(0, 2, 12)
    return array


@dataclass(frozen=True)
class Shown:
    """What was on the screen: which proposal, and its voxels."""

    identity: ProposalIdentity
    voxels: bytes

    @property
    def array(self):
        return np.frombuffer(self.voxels, np.int16).reshape(GRID.array_shape)


@dataclass(frozen=True)
class Stored:
    """What a verdict must have stored."""

    verdict: Verdict
    labels: bytes | None
    mask: bytes | None = None


class Reviews(RuleBasedStateMachine):
    """A person who judges what was shown at any time, while rounds come and go."""

    shown = Bundle("shown")

    @initialize(template=st.just(None))
    def start(self, template):
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(type(self).template, self.folder, dirs_exist_ok=True)
        self.root = self.folder / "project"
        self.session = ProjectSession()
        self.ask(ask.OpenProject(str(self.root)))
        self.num_written = 0
        self.verdicts = {}  # of a case and a round, oldest first
        self.propose(0)

    def ask(self, request):
        return handle(self.session, request, lambda *_: None)

    def propose(self, index):
        """Write what a worker that has trained a round leaves."""
        put_in_review(self.root, index)
        for case in load_project(self.root).cases_to_propose():
            self.rewrite(index, case.id)

    def rewrite(self, index, case_id):
        self.num_written += 1
        file = ProjectLayout(self.root).proposal(index, case_id)
        write_drawing(file, random_labels(self.num_written))

    def let_happen(self, meanwhile, one):
        """Let the named proposal be written anew, or the next round be ready, before a verdict."""
        if meanwhile == "file" and self.is_newest(one.identity):
            self.rewrite(one.identity.round_index, one.identity.case_id)
        if meanwhile == "round" and self.latest.index < 3:
            self.propose(self.latest.index + 1)

    @property
    def latest(self):
        return load_project(self.root).latest_round

    def is_newest(self, identity):
        """Tell whether a person who names this names what would be judged."""
        project = load_project(self.root)
        latest = project.latest_round
        file = ProjectLayout(self.root).proposal(identity.round_index, identity.case_id)
        if latest.state is not RoundState.IN_REVIEW or latest.index != identity.round_index:
            return False
        return file.exists() and (
            self.ask(ask.ShowCase(identity.case_id, with_image=False)).identity == identity
        )

    def judge(self, request, judged, stored):
        """Ask for a verdict; it must be done if all that is named is the newest, else refused."""
        if all(self.is_newest(one.identity) for one in judged):
            self.ask(request)
            for one in judged:
                key = (one.identity.case_id, one.identity.round_index)
                self.verdicts.setdefault(key, []).append(stored(one))
        else:
            with pytest.raises(ReviewError):
                self.ask(request)

    @rule(target=shown, case_id=st.sampled_from(CASES), older=st.booleans())
    def show(self, case_id, older):
        files = self.ask(ask.ShowCase(case_id, None, False))
        if older and files.round_index:
            index = files.round_index - 1
            if ProjectLayout(self.root).proposal(index, case_id).exists():
                files = self.ask(ask.ShowCase(case_id, index, False))
        if files.identity is None:
            return multiple()
        return Shown(files.identity, np.load(files.proposal).astype(np.int16).tobytes())

    @rule(one=shown, meanwhile=MEANWHILE)
    def accept(self, one, meanwhile):
        self.let_happen(meanwhile, one)

        def stored(one):
            return Stored(Verdict.ACCEPTED, one.voxels)

        self.judge(ask.Accept((one.identity,)), [one], stored)

    @rule(some=st.lists(shown, min_size=1, max_size=3), reject=st.booleans(), meanwhile=MEANWHILE)
    def judge_many(self, some, reject, meanwhile):
        self.let_happen(meanwhile, some[-1])
        some = list(dict.fromkeys(some))
        identities = tuple(one.identity for one in some)
        if len({identity.case_id for identity in identities}) < len(identities):
            return
        if reject:
            self.judge(ask.Reject(identities), some, lambda _: Stored(Verdict.REJECTED, None))
        else:
            request = ask.Accept(identities)
            self.judge(request, some, lambda one: Stored(Verdict.ACCEPTED, one.voxels))

    @rule(
        one=shown, extent=st.sampled_from(TruthExtent), at=st.integers(0, 23), meanwhile=MEANWHILE
    )
    def correct(self, one, extent, at, meanwhile):
        self.let_happen(meanwhile, one)
        array = one.array.copy()
        array[2, 0, at] = 1 if array[2, 0, at] != 1 else 2
        file = write_drawing(self.folder / "drawn.seg.nrrd", array)
        preview = ask.PreviewCorrection(one.identity, str(file))
        mask = None
        if extent is TruthExtent.CHANGED_VOXELS:
            mask = near_changed(array != one.array, GRID.spacing_mm).tobytes()
        if self.is_newest(one.identity):
            assert self.ask(preview).num_changed_voxels == 1
        request = ask.Correct(one.identity, str(file), extent)
        stored = Stored(Verdict.CORRECTED, array.tobytes(), mask)
        self.judge(request, [one], lambda _: stored)

    @rule(one=shown, meanwhile=MEANWHILE)
    def take_back(self, one, meanwhile):
        self.let_happen(meanwhile, one)
        key = (one.identity.case_id, one.identity.round_index)
        if self.is_newest(one.identity) and self.verdicts.get(key):
            self.ask(ask.TakeBackVerdict(one.identity))
            self.verdicts[key].pop()
        else:
            with pytest.raises(ReviewError):
                self.ask(ask.TakeBackVerdict(one.identity))

    @precondition(lambda self: self.latest.index < 3)
    @rule()
    def next_round_is_begun(self):
        latest = self.latest
        if latest.state is RoundState.IN_REVIEW:
            save_round(self.root, latest.moved_to(RoundState.CLOSED))
            save_round(self.root, Round(latest.index + 1, RoundState.TRAINING))

    @precondition(lambda self: self.latest.state is RoundState.TRAINING)
    @rule()
    def round_that_was_begun_is_ready(self):
        self.propose(self.latest.index)

    @precondition(lambda self: self.latest.index > 0)
    @rule()
    def go_back(self):
        index = self.latest.index - 1
        self.ask(ask.GoBack(index))
        self.verdicts = {key: made for key, made in self.verdicts.items() if key[1] <= index}

    @invariant()
    def every_verdict_is_what_was_named(self):
        if not hasattr(self, "root"):
            return
        layout, project = ProjectLayout(self.root), load_project(self.root)
        expected = {key: made[-1] for key, made in self.verdicts.items() if made}
        found = {(review.case_id, review.round_index): review for review in project.reviews}
        assert found.keys() == expected.keys()
        for key, stored in expected.items():
            review = found[key]
            assert review.verdict is stored.verdict
            if stored.labels is None:
                assert review.segmentation is None
                continue
            labels = read_segmentation(layout.resolve(review.segmentation), SCHEMA)[0].array
            assert labels.astype(np.int16).tobytes() == stored.labels
            assert (review.truth_mask is None) == (stored.mask is None)
            if stored.mask is not None:
                mask = read_truth_mask(layout.resolve(review.truth_mask), GRID)
                assert mask.tobytes() == stored.mask

    def teardown(self):
        if hasattr(self, "session"):
            self.session.close()
            shutil.rmtree(self.folder, ignore_errors=True)


def test_no_verdict_stores_anything_but_what_was_named(tmp_path):
    make_project(tmp_path / "project")
    machine = type("Reviews", (Reviews,), {"template": tmp_path})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=10, stateful_step_count=25, deadline=None),
    )
