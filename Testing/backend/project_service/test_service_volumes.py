"""Requests about volumes, to real services: found, added one by one, checked, given roles."""

from dataclasses import replace

import psutil
import pytest
from asking_services import PATIENCE_S, answer, answers_to, events_until, opened, refusal
from small_projects import (
    SCHEMA,
    write_drawing,
    write_image,
)

from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.question import GivenAnswer
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages import requests as ask
from PseudoLabelCLLib.messages.project_view import CaseState
from PseudoLabelCLLib.messages.service_messages import RequestProgress
from PseudoLabelCLLib.storage.project.project_store import load_project

pytestmark = pytest.mark.slow


def creation(root):
    return ask.CreateProject(str(root), "Hearts", Profile.BALANCED, SCHEMA)


def test_chosen_channel_is_kept_with_the_case_and_serves_the_next_search(a_service, a_project):
    data = a_project.parent / "channels"
    for patient in ("p1", "p2"):
        for channel in ("T1", "T2"):
            write_image(data / patient / f"{patient}_{channel}.nrrd", seed=7)
    opened(a_service, a_project)
    given = (GivenAnswer(QuestionKind.CHANNELS, "T2"),)
    first = answer(a_service, ask.FindVolumes(str(data / "p1"), given))
    (found,) = first.volumes
    new = NewCase("p1", CaseRole.UNLABELLED, found.image, kept=found.kept)
    answer(a_service, ask.AddVolumes((new,)))
    assert load_project(a_project).case("p1").answer_to(QuestionKind.CHANNELS) == "T2"
    second = answer(a_service, ask.FindVolumes(str(data / "p2")))
    assert [volume.case_id for volume in second.volumes] == ["p2_T2"]
    assert [problem.is_error for problem in second.problems] == [False]
    assert "channels=T2" in second.problems[0].message


def test_volumes_are_added_one_by_one_and_unfit_ones_are_told(a_service, a_project):
    data = a_project.parent / "data 心"
    image = str(write_image(data / "new.nrrd", seed=7))
    (data / "bad.nrrd").write_bytes(b"no volume")
    drawing = str(write_drawing(data / "drawing.seg.nrrd"))
    opened(a_service, a_project)
    volumes = (
        ask.NewCase("bad", CaseRole.UNLABELLED, str(data / "bad.nrrd")),
        ask.NewCase("new", CaseRole.UNLABELLED, image, copy_image=True),
        ask.NewCase("NEW", CaseRole.UNLABELLED, image),
        ask.NewCase("a/b", CaseRole.UNLABELLED, image),
        ask.NewCase("empty", CaseRole.ANNOTATED, image),
        ask.NewCase("x", CaseRole.ANNOTATED, view_image(a_project), annotation=drawing),
    )
    *working, ending = answers_to(a_service, a_service.ask(ask.AddVolumes(volumes)))
    assert working == [
        RequestProgress(1, Progress(f"Reading '{volume.case_id}'", number, 6))
        for number, volume in enumerate(volumes)
    ]
    added = ending.answer
    assert [case.id for case in added.view.cases] == ["heart", "other-1", "other-2", "new"]
    assert added.view.case("other-1").state is CaseState.ANNOTATED
    told = [(problem.case_id, problem.is_error) for problem in added.problems]
    assert told == [
        ("bad", True), ("NEW", True), ("a/b", True), ("empty", True), ("x", False),
    ]  # fmt: skip
    assert all(problem.message for problem in added.problems)
    assert added.problems[-1].message.startswith("It is case 'other-1' of the project")
    assert load_project(a_project).case("new").image == "volumes/new.nrrd"
    assert sorted(p.name for p in (a_project / "annotations").iterdir()) == [
        "heart.seg.nrrd", "other-1.seg.nrrd",
    ]  # fmt: skip


def view_image(root):
    return str(root.parent / "data" / "other-1.nrrd")


def test_kill_between_two_volumes_keeps_the_first_and_the_rest_can_be_added(
    start_service, a_project
):
    first, second = start_service(), start_service()
    data = a_project.parent / "more"
    volumes = tuple(
        ask.NewCase(
            f"new-{n}", CaseRole.UNLABELLED, str(write_image(data / f"{n}.nrrd", seed=n)),
            copy_image=True,
        )
        for n in range(30)
    )  # fmt: skip
    opened(first, a_project)
    first.ask(ask.AddVolumes(volumes))
    events_until(first, lambda e: isinstance(e, RequestProgress) and e.progress.step == 2)
    psutil.Process(first.pid).kill()
    psutil.Process(first.pid).wait(PATIENCE_S)
    found = [case.id for case in opened(second, a_project).cases[3:]]
    assert found == [volume.case_id for volume in volumes[: len(found)]]
    assert len(found) >= 2
    rest = answer(second, ask.AddVolumes(volumes[len(found) :]))
    assert rest.problems == ()
    assert len(rest.view.cases) == 33


def test_found_volumes_get_names_that_the_project_does_not_have(a_service, a_project):
    folder = str(a_project.parent / "data")
    without = answer(a_service, ask.FindVolumes(folder))
    assert "other-1" in [volume.case_id for volume in without.volumes]
    opened(a_service, a_project)
    within = answer(a_service, ask.FindVolumes(folder))
    assert len(within.volumes) == len(without.volumes)
    assert not {volume.case_id for volume in within.volumes} & {"heart", "other-1", "other-2"}


def test_sample_data_make_a_project_that_can_train(a_service, tmp_path):
    made = answer(a_service, ask.MakeSampleData(str(tmp_path / "Proben 心")))
    answer(a_service, replace(creation(tmp_path / "project"), labels=made.labels))
    volumes = tuple(
        ask.NewCase(v.case_id, v.role, v.image, annotation=v.annotation) for v in made.volumes
    )
    added = answer(a_service, ask.AddVolumes(volumes))
    assert added.problems == ()
    assert added.view.plan.can_train
    roles = [case.role for case in added.view.cases]
    assert roles.count(CaseRole.ANNOTATED) == 1
    assert roles.count(CaseRole.UNLABELLED) == 6
    assert roles.count(CaseRole.VALIDATION) == 1
    assert [p for p in answer(a_service, ask.CheckCases()).problems if p.is_error] == []
    assert not list(tmp_path.glob(".making-*"))


def test_check_tells_what_stands_in_the_way(a_service, a_project):
    (a_project.parent / "data" / "other-1.nrrd").unlink()
    opened(a_service, a_project)
    first = answer(a_service, ask.CheckCases()).problems[0]
    assert (first.case_id, first.is_error) == ("other-1", True)
    assert first.message
    assert first.remedy


def test_a_further_image_is_added_and_the_view_names_what_is_missing(a_service, a_project):
    opened(a_service, a_project)
    t1 = NamedImage("T1", str(write_image(a_project.parent / "T1.nrrd", 7)))
    refused = refusal(a_service, ask.AddFurtherImage("heart", t1))
    assert "its first image has no name" in refused.message
    added = answer(a_service, ask.AddFurtherImage("heart", t1, "FLAIR", copy_image=True))
    assert added.problems == ()
    assert added.view.channels == ("FLAIR", "T1")
    missing = {case.id: case.missing_channels for case in added.view.cases}
    assert missing == {"heart": (), "other-1": ("T1",), "other-2": ("T1",)}
    assert (a_project / "volumes" / "T1" / "heart.nrrd").exists()
    other = NamedImage("T1", str(a_project.parent / "data" / "other-2.nrrd"))
    view = answer(a_service, ask.AddFurtherImage("other-1", other)).view
    assert view.case("other-1").missing_channels == ()


def test_roles_labels_and_cases_change(a_service, a_project):
    opened(a_service, a_project)
    view = answer(a_service, ask.SetRole(("other-1", "heart"), CaseRole.IGNORED))
    assert view.case("heart").state is CaseState.IGNORED
    view = answer(a_service, ask.RemoveCases(("other-1",)))
    assert [case.id for case in view.cases] == ["heart", "other-2"]
    renamed = LabelSchema((replace(SCHEMA.classes[0], name="心"), SCHEMA.classes[1]))
    assert answer(a_service, ask.ChangeLabels(renamed)).labels == renamed
    assert answer(a_service, ask.Refresh()).labels == renamed
