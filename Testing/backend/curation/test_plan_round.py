"""What the next round learns from, and the sentence that says so."""

from dataclasses import replace

import numpy as np
import pytest
from learning_doubles import Listener

from PseudoLabelCLLib.curation.review.plan_round import (
    TruthSource,
    leave_out_doubtful,
    plan_next_round,
)
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.errors import ProjectDamagedError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Review, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs, load_round_data
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((32, 32, 4), (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), IDENTITY)


def a_case(case_id, role=CaseRole.UNLABELLED):
    annotation = f"annotations/{case_id}.seg.nrrd" if role.needs_annotation else None
    return Case(case_id, role, f"../{case_id}.nii", GRID, annotation)


def review(case_id, index, verdict, slices=None):
    file = None if verdict is Verdict.REJECTED else f"{case_id}@{index}"
    return Review(case_id, index, verdict, file, slices)


@pytest.fixture
def a_project():
    """One annotated case and the unlabelled cases a to e, round 0 reviewed."""
    cases = (
        *(a_case(name) for name in "abcde"),
        a_case("truth", CaseRole.ANNOTATED),
        a_case("held", CaseRole.VALIDATION),
        a_case("odd", CaseRole.IGNORED),
    )
    schema = LabelSchema.from_values((1,))
    rounds = (Round(0, RoundState.IN_REVIEW),)
    return Project("p", schema, config_for(Profile.QUICK), cases, rounds)


def reviewed(project, *reviews):
    return replace(project, reviews=reviews)


def test_plan_without_human_truth_says_what_is_needed(a_project):
    project = replace(a_project, cases=(a_case("a"), a_case("b")), rounds=())

    plan = plan_next_round(project)

    assert plan.human == ()
    assert "Round 0 needs an annotated volume" in plan.sentence
    assert "add it with its segmentation" in plan.sentence


def test_first_round_learns_from_annotations_alone(a_project):
    plan = plan_next_round(replace(a_project, rounds=()))

    assert plan.index == 0
    assert plan.human == (TruthSource("truth", "annotations/truth.seg.nrrd", None),)
    assert (plan.pseudo, plan.left_out) == ((), ())
    assert plan.sentence == "Round 0 will learn from 1 human segmentation."


def test_unreviewed_cases_are_pseudo_labels(a_project):
    plan = plan_next_round(a_project)

    assert plan.pseudo == tuple("abcde")
    assert plan.sentence == "Round 1 will learn from 1 human segmentation and 5 pseudo-labels."


def test_verdicts_decide_what_a_pseudo_label_may_do(a_project):
    project = reviewed(
        a_project,
        review("a", 0, Verdict.ACCEPTED),
        review("b", 0, Verdict.CORRECTED),
        review("c", 0, Verdict.REJECTED),
    )

    plan = plan_next_round(project)

    assert [source.case_id for source in plan.human] == ["truth", "a", "b"]
    assert (plan.pseudo, plan.left_out) == (("d", "e"), ("c",))
    assert plan.sentence == (
        "Round 1 will learn from 3 human segmentations and 2 pseudo-labels; "
        "1 rejected case is left out."
    )


def test_partly_corrected_case_is_truth_and_pseudo_label(a_project):
    plan = plan_next_round(reviewed(a_project, review("a", 0, Verdict.CORRECTED, (1, 2))))

    assert TruthSource("a", "a@0", (1, 2)) in plan.human
    assert "a" in plan.pseudo
    assert "2 human segmentations (1 of them on single slices only)" in plan.sentence


def test_corrections_add_up_until_they_cover_the_case(a_project):
    project = replace(a_project, rounds=tuple(Round(n, RoundState.CLOSED) for n in range(3)))
    project = reviewed(
        project,
        review("a", 1, Verdict.CORRECTED, (2, 3)),
        review("a", 0, Verdict.CORRECTED, (0, 1, 2)),
    )

    plan = plan_next_round(project)

    own = [source for source in plan.human if source.case_id == "a"]
    assert own == [TruthSource("a", "a@0", (0, 1, 2)), TruthSource("a", "a@1", (2, 3))]
    assert "a" not in plan.pseudo


def test_later_whole_verdict_hides_earlier_slices(a_project):
    project = replace(a_project, rounds=tuple(Round(n, RoundState.CLOSED) for n in range(2)))
    project = reviewed(
        project,
        review("a", 0, Verdict.CORRECTED, (0,)),
        review("a", 1, Verdict.ACCEPTED),
    )

    own = [source for source in plan_next_round(project).human if source.case_id == "a"]

    assert own == [TruthSource("a", "a@1", None)]


def test_rejection_leaves_earlier_corrected_slices_as_truth(a_project):
    project = replace(a_project, rounds=tuple(Round(n, RoundState.CLOSED) for n in range(2)))
    project = reviewed(
        project, review("a", 0, Verdict.CORRECTED, (0,)), review("a", 1, Verdict.REJECTED)
    )

    plan = plan_next_round(project)

    assert TruthSource("a", "a@0", (0,)) in plan.human
    assert plan.left_out == ("a",)
    assert "a" not in plan.pseudo


@pytest.mark.parametrize("state", [RoundState.TRAINING, RoundState.PSEUDO_LABELLING])
def test_interrupted_round_is_still_the_next(a_project, state):
    project = replace(a_project, rounds=(Round(0, RoundState.CLOSED), Round(1, state)))

    assert plan_next_round(project).index == 1


def test_two_rejections_are_told_in_the_plural(a_project):
    project = reviewed(
        a_project, review("a", 0, Verdict.REJECTED), review("b", 0, Verdict.REJECTED)
    )

    assert plan_next_round(project).sentence.endswith("; 2 rejected cases are left out.")


def requiring(project, agreement):
    label = replace(project.config.pseudo_label, min_agreement=agreement)
    return replace(project, config=replace(project.config, pseudo_label=label))


def propose(root, project, agreements):
    """Write the proposals of round 0 with their scores; None stands for a score that is lost."""
    layout = ProjectLayout(root)
    layout.round_folder(0).mkdir(parents=True)
    for case_id, agreement in agreements.items():
        labels = LabelVolume(np.ones(GRID.array_shape, np.int16), GRID)
        write_segmentation(layout.proposal(0, case_id), labels, project.schema)
        if agreement is not None:
            doubt = Doubt(1 - agreement, agreement, (), "Made up.")
            write_json(layout.doubt(0, case_id), to_json(doubt))


def test_plan_tells_the_rule_before_the_scores_are_read(a_project):
    plan = plan_next_round(requiring(a_project, 0.9))

    assert plan.pseudo == tuple("abcde")
    assert plan.sentence == (
        "Round 1 will learn from 1 human segmentation and 5 pseudo-labels; cases whose copies "
        "agree less than 90 % will be left out."
    )


def test_cases_whose_copies_agree_too_little_are_left_out(a_project, tmp_path):
    project = requiring(a_project, 0.9)
    propose(tmp_path, project, {"a": 0.95, "b": 0.9, "c": 0.89, "d": 0.2, "e": 0.93})

    plan = leave_out_doubtful(tmp_path, project, plan_next_round(project))

    assert (plan.pseudo, plan.too_doubtful) == (("a", "b", "e"), ("c", "d"))
    assert plan.sentence == (
        "Round 1 will learn from 1 human segmentation and 3 pseudo-labels; 2 cases whose copies "
        "agree less than 90 % are left out."
    )
    assert leave_out_doubtful(tmp_path, project, plan) == plan


def test_nobody_is_left_out_unless_the_settings_ask_for_it(a_project, tmp_path):
    propose(tmp_path, a_project, dict.fromkeys("abcde", 0.0))
    plan = plan_next_round(a_project)

    assert leave_out_doubtful(tmp_path, a_project, plan) == plan
    assert plan.pseudo == tuple("abcde")


def test_what_a_person_confirmed_stays_however_doubtful_it_was(a_project, tmp_path):
    project = reviewed(
        requiring(a_project, 0.9),
        review("a", 0, Verdict.ACCEPTED),
        review("b", 0, Verdict.CORRECTED, (1, 2)),
        review("c", 0, Verdict.REJECTED),
    )
    propose(tmp_path, project, {"a": 0.1, "b": 0.1, "c": 0.1, "d": 0.95, "e": 0.1})

    plan = leave_out_doubtful(tmp_path, project, plan_next_round(project))

    assert [source.case_id for source in plan.human] == ["truth", "a", "b"]
    assert (plan.pseudo, plan.left_out, plan.too_doubtful) == (("d",), ("c",), ("b", "e"))
    assert plan.sentence.endswith(
        "; 1 rejected case is left out; 2 cases whose copies agree less than 90 % are left out."
    )


def test_lost_score_counts_as_no_agreement_and_a_case_without_proposal_stays(a_project, tmp_path):
    project = requiring(a_project, 0.5)
    propose(tmp_path, project, {"a": None, "b": 0.6, "c": 0.6, "d": 0.6})

    plan = leave_out_doubtful(tmp_path, project, plan_next_round(project))

    assert (plan.pseudo, plan.too_doubtful) == (("b", "c", "d", "e"), ("a",))
    assert "; 1 case whose copies agree less than 50 % is left out." in plan.sentence


def test_damaged_score_is_told(a_project, tmp_path):
    project = requiring(a_project, 0.5)
    propose(tmp_path, project, dict.fromkeys("abcde", 0.6))
    ProjectLayout(tmp_path).doubt(0, "b").write_text('{"doubt": 3}')

    with pytest.raises(ProjectDamagedError):
        leave_out_doubtful(tmp_path, project, plan_next_round(project))


@pytest.fixture
def inputs_of(a_project, tmp_path):
    """Makes the inputs of round 1 for the given agreements of the unlabelled cases."""

    def make(agreements):
        root = tmp_path / "project"
        # every case has an image and the annotated one a segmentation, small enough to read fast
        project = requiring(a_project, 0.9)
        ProjectLayout(root).preprocess_plan.parent.mkdir(parents=True)
        image = np.random.default_rng(0).random(GRID.array_shape).astype(np.float32)
        for case in project.cases:
            write_volume(ProjectLayout(root).resolve(case.image), Volume(image, GRID))
        labels = LabelVolume(np.ones(GRID.array_shape, np.int16), GRID)
        write_segmentation(ProjectLayout(root).annotation("truth"), labels, project.schema)
        propose(root, project, agreements)
        preprocess = replace(
            project.config.preprocess, in_plane_spacing_mm=1.0, window_size=(32, 32)
        )
        plan = leave_out_doubtful(root, project, plan_next_round(project))
        return RoundInputs(root, project, plan, preprocess, project.config.training)

    return make


def test_round_reads_no_slice_of_a_doubtful_case_and_names_it(inputs_of):
    listener = Listener()
    data = load_round_data(
        inputs_of({"a": 0.95, "b": 0.1, "c": 0.92, "d": 0.89, "e": 0.99}), listener
    )

    assert len(data.truth) == 4
    assert len(data.pseudo) == 3 * 4
    (text, warning) = listener.notices[0]
    assert "'b', 'd'" in text
    assert "90 %" in text
    assert not warning


def test_round_without_a_sure_case_learns_from_human_truth_alone_and_says_so(inputs_of):
    listener = Listener()
    data = load_round_data(inputs_of(dict.fromkeys("abcde", 0.1)), listener)

    assert not data.is_joint
    assert len(data.truth) == 4
    (text, warning) = listener.notices[0]
    assert text.endswith("it learns from human segmentations alone.")
    assert warning
