"""Requests that a real service cannot do: a sentence, and not a byte of the project changes."""

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from asking_services import (
    answer,
    opened,
    refusal,
    shown,
)
from small_projects import (
    SCHEMA,
    contents,
    drawn,
    make_project,
    put_in_review,
    write_drawing,
)

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.review import ProposalIdentity, Verdict
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.messages import requests as ask
from PseudoLabelCLLib.messages.answers import Done
from PseudoLabelCLLib.process.service_process import ServiceProcess
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock

pytestmark = pytest.mark.slow


def creation(root):
    return ask.CreateProject(str(root), "Hearts", Profile.BALANCED, SCHEMA)


SHOWN = "as the view names it"


def of(case_id, fingerprint=SHOWN, round_index=0):
    return ProposalIdentity(case_id, round_index, fingerprint)


EVERY_REQUEST_FOR_AN_OPEN_PROJECT = (
    ask.Refresh(),
    ask.AddVolumes((ask.NewCase("new", CaseRole.UNLABELLED, "new.nrrd"),)),
    ask.SetRole(("other-1",), CaseRole.IGNORED),
    ask.ChooseSlices(("other-1",), True),
    ask.RemoveCases(("other-1",)),
    ask.ChangeLabels(SCHEMA),
    ask.ChangeSettings({"training.seed": "1"}),
    ask.CheckCases(),
    ask.ShowCase("other-1"),
    ask.Accept((of("other-1"),)),
    ask.Reject((of("other-1"),)),
    ask.Correct(of("other-1"), "drawn.seg.nrrd"),
    ask.PreviewCorrection(of("other-1"), "drawn.seg.nrrd"),
    ask.TakeBackVerdict(of("other-1")),
    ask.ReadHistory(),
    ask.GoBack(-1),
    ask.Export("out", SegmentationFormat.NIFTI),
    ask.SaveModel(0, "model.plcl"),
    ask.SavePretrainedModel("model.plcl"),
)


def test_without_an_open_project_every_request_for_one_is_refused(a_service):
    for request in EVERY_REQUEST_FOR_AN_OPEN_PROJECT:
        assert refusal(a_service, request).message == "No project is open.", request


def test_once_the_folder_is_gone_every_request_is_refused_and_nothing_comes_back(
    a_service, a_project_in_review, tmp_path
):
    root, kept = a_project_in_review, tmp_path / "kept"
    opened(a_service, root)
    root.rename(kept)
    before = contents(tmp_path)
    for request in EVERY_REQUEST_FOR_AN_OPEN_PROJECT:
        told = refusal(a_service, request)
        assert told.message.startswith(f"The project '{root}' is no longer there:"), request
        assert told.error_type == "ProjectGoneError", request
    refusal(a_service, ask.OpenProject(str(root)))
    assert not root.exists()
    assert contents(tmp_path) == before
    kept.rename(root)
    assert refusal(a_service, ask.Refresh()).remedy.startswith("Restore the folder and open")
    assert opened(a_service, root).review_order == ("other-2", "other-1")
    assert (
        answer(a_service, ask.Accept(shown(a_service, "other-1"))).case("other-1").verdict
        is Verdict.ACCEPTED
    )


def test_project_in_the_place_of_the_open_one_is_not_written_to(start_service, a_project):
    first, second = start_service(), start_service()
    opened(first, a_project)
    copy = a_project.with_name("copy")
    shutil.copytree(a_project, copy)
    shutil.rmtree(a_project)
    copy.rename(a_project)
    opened(second, a_project)
    assert (
        "is no longer there" in refusal(first, ask.SetRole(("other-1",), CaseRole.IGNORED)).message
    )
    assert refusal(first, ask.OpenProject(str(a_project))).error_type == "ProjectInUseError"
    assert answer(first, ask.CloseProject()) == Done()


@pytest.fixture(scope="module")
def a_review(tmp_path_factory):
    """A service with a project in the review of round 0, and its folder; nobody changes it."""
    folder = tmp_path_factory.mktemp("review")
    root = make_project(folder / "project")
    put_in_review(root, 0)
    write_drawing(folder / "same.seg.nrrd", drawn(shift=1))
    other = LabelSchema((LabelClass(9, "liver", "#e69f00"),))
    write_drawing(folder / "foreign.seg.nrrd", 9 * (drawn() > 0).astype(np.int16), schema=other)
    (folder / "model.plcl").write_bytes(b"no model")
    service = ServiceProcess.start(sys.executable)
    opened(service, root)
    yield service, folder
    service.kill()
    service.close()


def in_folder(folder, request):
    """The request with its relative paths taken from a folder."""
    paths = {
        name: str(folder / value)
        for name, value in vars(request).items()
        if name in ("root", "file", "folder", "path", "output_folder")
    }
    return replace(request, **paths)


def as_shown(view, request):
    """The request on the proposals that a view names, where it leaves their fingerprints open."""
    known = {case.id: case.proposal for case in view.cases if case.proposal is not None}

    def found(proposal):
        return known.get(proposal.case_id, proposal) if proposal.fingerprint == SHOWN else proposal

    named = {}
    if hasattr(request, "proposals"):
        named = {"proposals": tuple(found(one) for one in request.proposals)}
    elif hasattr(request, "proposal"):
        named = {"proposal": found(request.proposal)}
    return replace(request, **named)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (creation("project"), "is not an empty folder"),
        (creation("model.plcl"), "is not an empty folder"),
        (ask.OpenProject("data"), "is not a project folder"),
        (ask.FindVolumes("nowhere"), "nowhere"),
        (ask.SetRole(("other-1", "x"), CaseRole.IGNORED), "no case 'x'"),
        (ask.SetRole(("heart", "other-1"), CaseRole.VALIDATION), "'other-1' cannot be validation"),
        (ask.RemoveCases(("other-1", "x")), "no case 'x'"),
        (ask.ChangeLabels(LabelSchema(SCHEMA.classes[:1])), "are fixed since round 0"),
        (
            ask.ChangeSettings({"training.seed": "1", "magic": "2"}),
            "'magic' does not exist",
        ),
        (ask.ChangeSettings({"training.seed": "many"}), "must be a whole number"),
        (ask.ChangeSettings({"network.embedding_size": "8"}), "is fixed"),
        (ask.ChangeSettings({"profile": "magic"}), "profile 'magic' does not exist"),
        (ask.ShowCase("x"), "no case 'x'"),
        (ask.ShowCase("other-1", 7), "7"),
        (
            ask.Accept(
                (
                    of("other-1"),
                    of("heart"),
                )
            ),
            "no proposal for case 'heart'",
        ),
        (
            ask.Accept(
                (
                    of("other-1"),
                    of("x"),
                )
            ),
            "no case 'x'",
        ),
        (
            ask.Accept(
                (
                    of("other-1"),
                    of("other-2"),
                ),
                (1,),
            ),
            "one case at a time",
        ),
        (ask.Accept((of("other-1"),), (7,)), "no structure with the value 7"),
        (ask.Accept((of("other-1"),), (1, 2)), "Every structure"),
        (
            ask.Reject(
                (
                    of("other-1"),
                    of("heart"),
                )
            ),
            "no proposal for case 'heart'",
        ),
        (ask.Correct(of("other-1"), "nowhere.seg.nrrd"), "nowhere.seg.nrrd"),
        (ask.Correct(of("other-1"), "same.seg.nrrd"), "identical to the proposal"),
        (ask.Correct(of("other-1"), "foreign.seg.nrrd"), "liver"),
        (ask.TakeBackVerdict(of("other-1")), "other-1"),
        (ask.PreviewCorrection(of("other-1"), "foreign.seg.nrrd"), "liver"),
        (ask.PreviewCorrection(of("other-1"), "nowhere.seg.nrrd"), "nowhere.seg.nrrd"),
        (ask.PreviewCorrection(of("other-1", "0" * 64, 1), "same.seg.nrrd"), "round 1's"),
        *[
            (request, "is not the one shown here: its file has changed since. Show the case again.")
            for request in (
                ask.Accept((of("other-2"), of("other-1", "0" * 64))),
                ask.Reject((of("other-1", "0" * 64), of("other-2"))),
                ask.Correct(of("other-1", "0" * 64), "same.seg.nrrd"),
                ask.PreviewCorrection(of("other-1", "0" * 64), "same.seg.nrrd"),
                ask.TakeBackVerdict(of("other-1", "0" * 64)),
            )
        ],
        (ask.GoBack(5), "no round 5"),
        (ask.GoBack(0), "in review already"),
        (ask.Export("out", SegmentationFormat.NIFTI, ("x",)), "no case 'x'"),
        (ask.Export("out", SegmentationFormat.NIFTI, ("other-1",)), "no segmentation"),
        (ask.Export("model.plcl", SegmentationFormat.NIFTI), "model.plcl"),
        (ask.SaveModel(0, "new.plcl"), "model"),
        (ask.SaveModel(3, "new.plcl"), "3"),
        (ask.SavePretrainedModel("new.plcl"), "has not been pre-trained yet"),
        (ask.ReadModel("model.plcl"), "model.plcl"),
        (ask.ReadModel("nowhere.plcl"), "nowhere.plcl"),
        (ask.MakeSampleData("data"), "is not an empty folder"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_refusal_names_what_was_found_and_leaves_every_byte_as_it_was(a_review, request_, words):
    service, folder = a_review
    view = answer(service, ask.Refresh())
    before = contents(folder)
    told = refusal(service, as_shown(view, in_folder(folder, request_)))
    assert words in f"{told.message} {told.remedy}"
    assert contents(folder) == before


def test_going_back_while_a_training_runs_is_refused(a_review):
    service, folder = a_review
    before = contents(folder)
    with project_lock(ProjectLayout(folder / "project").worker_lock, "a training"):
        told = refusal(service, ask.GoBack(-1))
    assert told.error_type == "ProjectInUseError"
    assert "in use by a training" in told.message
    assert contents(folder) == before
