"""Requests about proposals and results, to a real service: judged, shown, measured, exported."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from asking_services import answer, answers_to, opened, refusal, shown
from small_projects import (
    GRID,
    SCHEMA,
    begin_proposing,
    drawn,
    propose,
    put_in_review,
    write_drawing,
)

from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.review import TruthExtent, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.messages import requests as ask
from PseudoLabelCLLib.messages.project_view import CaseState
from PseudoLabelCLLib.messages.service_messages import RequestProgress
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

pytestmark = pytest.mark.slow


def test_verdicts_are_on_disk_with_the_answer_and_can_be_taken_back(a_service, a_project_in_review):
    root = a_project_in_review
    opened(a_service, root)
    view = answer(a_service, ask.Accept(shown(a_service, "other-1"), (2,)))
    assert view.case("other-1").left_out == (2,)
    assert load_project(root).reviews_of("other-1")[-1].verdict is Verdict.ACCEPTED
    assert (
        answer(a_service, ask.Reject(shown(a_service, "other-1"))).case("other-1").verdict
        is Verdict.REJECTED
    )
    view = answer(a_service, ask.TakeBackVerdict(*shown(a_service, "other-1")))
    assert (view.case("other-1").verdict, view.case("other-1").left_out) == (Verdict.ACCEPTED, (2,))
    assert (
        answer(a_service, ask.TakeBackVerdict(*shown(a_service, "other-1"))).case("other-1").verdict
        is None
    )


def test_correction_counts_on_the_slices_that_differ(a_service, a_project_in_review):
    root = a_project_in_review
    array = drawn(shift=1)
    array[2] = 0
    file = write_drawing(root.parent / "corrected 心.seg.nrrd", array)
    opened(a_service, root)
    case = answer(a_service, ask.Correct(*shown(a_service, "other-1"), str(file))).case("other-1")
    assert (case.state, case.truth_fraction) == (CaseState.PARTLY_REVIEWED, 1 / 5)
    case = answer(
        a_service, ask.Correct(*shown(a_service, "other-1"), str(file), extent=TruthExtent.WHOLE)
    ).case("other-1")
    assert (case.state, case.truth_fraction) == (CaseState.CORRECTED, 1.0)


def test_many_are_judged_together(a_service, a_project_in_review):
    opened(a_service, a_project_in_review)
    events = answers_to(
        a_service, a_service.ask(ask.Reject(shown(a_service, "other-2", "other-1", "other-2")))
    )
    assert events[:-1] == [RequestProgress(2, Progress("Saving verdicts", n, 2)) for n in range(2)]
    assert [case.verdict for case in events[-1].answer.cases] == [None, *[Verdict.REJECTED] * 2]


def test_of_many_none_is_judged_if_one_proposal_is_damaged(a_service, a_project_in_review):
    root = a_project_in_review
    opened(a_service, root)
    ProjectLayout(root).proposal(0, "other-2").write_bytes(b"damaged")
    before = answer(a_service, ask.Refresh())
    assert (
        "other-2" in refusal(a_service, ask.Accept(shown(a_service, "other-1", "other-2"))).message
    )
    after = answer(a_service, ask.Refresh())
    assert replace(after, free_disk_bytes=0) == replace(before, free_disk_bytes=0)
    assert load_project(root).reviews == ()


def test_case_is_shown_from_arrays_that_hold_what_the_files_hold(a_service, a_project_in_review):
    root = a_project_in_review
    opened(a_service, root)
    files = answer(a_service, ask.ShowCase("other-1"))
    assert files.geometry == GRID
    assert files.round_index == 0
    assert np.array_equal(np.load(files.proposal), drawn(shift=1))
    assert np.load(files.image).shape == GRID.array_shape
    assert answer(a_service, ask.ShowCase("other-1", with_image=False)).image is None


def test_history_has_a_line_for_every_round(a_service, a_project_in_review):
    opened(a_service, a_project_in_review)
    answer(a_service, ask.Accept(shown(a_service, "other-1")))
    (figures,) = answer(a_service, ask.ReadHistory()).rounds
    assert (figures.index, figures.agreement, figures.num_compared) == (0, 1.0, 1)


def test_going_back_puts_later_rounds_aside(a_service, a_project_in_review):
    root = a_project_in_review
    opened(a_service, root)
    answer(a_service, ask.Accept(shown(a_service, "other-1")))
    put_in_review(root, 1)
    assert len(answer(a_service, ask.Refresh()).rounds) == 2
    view = answer(a_service, ask.GoBack(0))
    assert view.round_in_review.index == 0
    assert view.case("other-1").verdict is Verdict.ACCEPTED
    view = answer(a_service, ask.GoBack(-1))
    assert (view.rounds, view.labels_are_settled) == ((), False)


def test_segmentations_go_out_with_who_confirmed_them(a_service, a_project_in_review):
    root = a_project_in_review
    out = root.parent / "außen"
    opened(a_service, root)
    answer(a_service, ask.Accept(shown(a_service, "other-1")))
    exported = answer(a_service, ask.Export(str(out), SegmentationFormat.SEG_NRRD, (), True)).files
    assert [(file.case_id, file.source) for file in exported] == [
        ("heart", "annotated"), ("other-1", "accepted"), ("other-2", "proposal, unreviewed"),
    ]  # fmt: skip
    labels = read_segmentation(out / "other-1.seg.nrrd", SCHEMA)[0]
    assert isinstance(labels, LabelVolume)
    assert np.array_equal(labels.array, drawn(shift=1))


def test_partly_corrected_case_goes_out_with_the_share_that_counts(a_service, a_project_in_review):
    root = a_project_in_review
    array = drawn(shift=1)
    array[2] = 0
    file = write_drawing(root.parent / "corrected.seg.nrrd", array)
    opened(a_service, root)
    answer(a_service, ask.Correct(*shown(a_service, "other-1"), str(file)))
    (exported,) = answer(
        a_service, ask.Export(str(root.parent / "out"), SegmentationFormat.NIFTI, ("other-1",))
    ).files
    assert exported.source == "corrected on 20 % of the slices"


def test_command_line_and_service_do_not_change_a_project_together(a_service, a_project):
    opened(a_service, a_project)
    told = subprocess.run(
        [sys.executable, "-m", "PseudoLabelCLLib", "set", str(a_project), "training.seed=3"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert told.returncode == 1
    assert b"in use by another PseudoLabelCL session" in told.stderr


def test_verdicts_of_a_round_that_still_proposes_outlive_the_service(start_service, a_project):
    root = a_project
    begin_proposing(root, 0, other_1=0.3)
    service = start_service()
    assert opened(service, root).review_order == ("other-1",)
    answer(service, ask.Accept(shown(service, "other-1")))
    (one,) = shown(service, "other-1")
    refused = refusal(service, ask.Reject((replace(one, case_id="other-2"),)))
    assert "is not there yet: the round has made 1 of 2." in refused.message
    service.kill()
    propose(root, 0, "other-2", 0.6)
    service = start_service()
    view = opened(service, root)
    assert view.review_order == ("other-2", "other-1")
    assert view.case("other-1").verdict is Verdict.ACCEPTED
    save_round(root, Round(0, RoundState.IN_REVIEW))
    view = answer(service, ask.Reject(shown(service, "other-2")))
    assert (view.round_in_review.index, view.is_proposing) == (0, False)
    assert [one.verdict for one in load_project(root).reviews] == [
        Verdict.ACCEPTED, Verdict.REJECTED,
    ]  # fmt: skip
