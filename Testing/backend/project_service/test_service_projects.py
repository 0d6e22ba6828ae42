"""Requests about a project as a whole, to real services: who has it open, settings, rounds."""

import socket
import sys
from dataclasses import replace

import pytest
from asking_services import PATIENCE_S, answer, opened, refusal
from small_projects import (
    SCHEMA,
    make_project,
)

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectInUseError
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.review import ProposalIdentity
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.round_work import Standing, Work
from PseudoLabelCLLib.messages import requests as ask
from PseudoLabelCLLib.messages.answers import Done
from PseudoLabelCLLib.messages.service_messages import encode_request
from PseudoLabelCLLib.process.process_tree import start_tree
from PseudoLabelCLLib.storage.project.kept_paces import KeptPace, keep_paces
from PseudoLabelCLLib.storage.project.preprocess_plan import save_preprocess_plan
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import load_project, save_round
from PseudoLabelCLLib.storage.project.round_forecast import forecast_round
from PseudoLabelCLLib.storage.project.settled_device import SettledDevice, write_settled_device

pytestmark = pytest.mark.slow


def creation(root):
    return ask.CreateProject(str(root), "Hearts", Profile.BALANCED, SCHEMA)


def test_project_is_made_and_open_at_once(a_service, tmp_path):
    root = tmp_path / "new" / "Größe 心"
    view = answer(a_service, creation(root))
    assert (view.root, view.name, view.labels, view.cases) == (str(root), "Hearts", SCHEMA, ())
    assert view.config == config_for(Profile.BALANCED)
    assert load_project(root).schema == SCHEMA
    with pytest.raises(ProjectInUseError), project_lock(ProjectLayout(root).lock, "a test"):
        pass
    assert sorted(p.name for p in root.parent.iterdir()) == [root.name]


def test_project_without_a_name_is_called_like_its_folder(a_service, tmp_path):
    request = replace(creation(tmp_path / "hearts"), name=" ")
    assert answer(a_service, request).name == "hearts"


def test_project_is_opened_and_closed(a_service, a_project):
    view = opened(a_service, a_project)
    assert [case.id for case in view.cases] == ["heart", "other-1", "other-2"]
    assert answer(a_service, ask.CloseProject()) == Done()
    with project_lock(ProjectLayout(a_project).lock, "a test"):
        pass
    assert refusal(a_service, ask.Refresh()).message == "No project is open."


def test_project_open_in_one_window_is_refused_in_another_until_it_is_closed(
    start_service, a_project
):
    first, second = start_service(), start_service()
    opened(first, a_project)
    refused = refusal(second, ask.OpenProject(str(a_project)))
    assert refused.error_type == "ProjectInUseError"
    assert refused.message == (
        f"The project '{a_project}' is in use by another PseudoLabelCL session (process "
        f"{first.pid} on {socket.gethostname()})."
    )
    answer(first, ask.CloseProject())
    assert opened(second, a_project).name == "Hearts"


def test_opening_the_open_project_again_reads_it_again(a_service, a_project):
    opened(a_service, a_project)
    assert opened(a_service, a_project / ".." / a_project.name).name == "Hearts"


def test_project_stays_open_when_another_cannot_be_opened(a_service, a_project, tmp_path):
    opened(a_service, a_project)
    refusal(a_service, ask.OpenProject(str(tmp_path / "nowhere")))
    refusal(a_service, creation(a_project))
    assert answer(a_service, ask.Refresh()).root == str(a_project)
    assert not (tmp_path / "nowhere").exists()


def test_opening_another_project_lets_go_of_the_first(start_service, a_project, tmp_path):
    first, second = start_service(), start_service()
    other = make_project(tmp_path / "more" / "other", num_unlabelled=0)
    opened(first, a_project)
    assert opened(first, other).root == str(other)
    assert opened(second, a_project).root == str(a_project)


def test_round_that_a_worker_has_begun_is_seen_at_the_next_request(a_service, a_project_in_review):
    root = a_project_in_review
    opened(a_service, root)
    save_round(root, Round(0, RoundState.CLOSED))
    save_round(root, Round(1, RoundState.TRAINING))
    refused = refusal(a_service, ask.Accept((ProposalIdentity("other-1", 0, "0" * 64),)))
    assert refused.message == "Round 1 is 'training', not in review."
    assert answer(a_service, ask.Refresh()).plan.goes_on


def test_what_the_network_sees_is_told_once_a_round_has_settled_it(a_service, a_project_in_review):
    root = a_project_in_review
    settled = PreprocessConfig(window_size=(64, 96), in_plane_spacing_mm=1.5)
    save_preprocess_plan(root, settled, settled)
    assert "64 x 96 pixels of 1.5 mm" in opened(a_service, root).plan.seen
    ProjectLayout(root).preprocess_plan.write_text("{")
    assert answer(a_service, ask.Refresh()).plan.seen == ""  # the next round reports it


def test_what_a_round_costs_is_told_with_the_plan_once_it_was_measured(
    a_service, a_project_in_review, capfd
):
    root = a_project_in_review
    settled = PreprocessConfig(window_size=(64, 96), in_plane_spacing_mm=1.5)
    save_preprocess_plan(root, settled, settled)
    device = SettledDevice("CPU of this test", half_precision=False)
    write_settled_device(root, device)
    plan = opened(a_service, root).plan
    assert not plan.is_estimated
    assert "on this computer" not in plan.seen
    standing = Standing(1, is_joint=True)
    work = forecast_round(root, load_project(root), settled, device, standing).work
    keep_paces(
        KeptPace(one, work.kinds[one], device.description, "2.10", 240 / amount / len(Work))
        for one, amount in work.amounts.items()
        if amount
    )
    plan = answer(a_service, ask.Refresh()).plan
    assert plan.is_estimated
    cost = "; about 3 minutes a round on this computer, "  # of six kinds, nothing is validated
    assert cost in plan.seen
    assert main(["status", str(root)]) == 0
    assert cost in capfd.readouterr().out


def test_service_lets_go_of_the_project_when_its_parent_closes_the_line(a_project):
    service = start_tree([sys.executable, "-m", "PseudoLabelCLLib.project_service"], {})
    requests = (ask.OpenProject(str(a_project)), ask.SetRole(("other-1",), CaseRole.IGNORED))
    lines = b"".join(encode_request(n, request) for n, request in enumerate(requests))
    out, _ = service.communicate(lines, timeout=PATIENCE_S)
    assert [line[:20] for line in out.splitlines()[1:]] == [b'{"type": "Answered",'] * 2
    assert service.returncode == 0
    with project_lock(ProjectLayout(a_project).lock, "a test"):
        assert load_project(a_project).case("other-1").role is CaseRole.IGNORED


def test_what_was_asked_is_done_even_if_nobody_hears_the_answer(a_project):
    service = start_tree([sys.executable, "-m", "PseudoLabelCLLib.project_service"], {})
    service.stdout.close()
    requests = (ask.OpenProject(str(a_project)), ask.SetRole(("other-1",), CaseRole.IGNORED))
    service.stdin.write(b"".join(encode_request(n, request) for n, request in enumerate(requests)))
    service.stdin.close()
    assert service.wait(PATIENCE_S) == 0
    service.stderr.close()
    assert load_project(a_project).case("other-1").role is CaseRole.IGNORED


def test_settings_change_by_name(a_service, a_project):
    opened(a_service, a_project)
    view = answer(
        a_service, ask.ChangeSettings({"training.seed": "7", "training.joint.num_steps": "3"})
    )
    assert (view.config.training.seed, view.config.training.joint.num_steps) == (7, 3)
    assert load_project(a_project).config == view.config


def test_another_profile_takes_over_its_settings_before_single_ones(a_service, a_project):
    opened(a_service, a_project)
    answer(a_service, ask.ChangeSettings({"training.seed": "7"}))
    view = answer(a_service, ask.ChangeSettings({"training.seed": "9", "profile": "balanced"}))
    usual = config_for(Profile.BALANCED)
    assert view.config == replace(usual, training=replace(usual.training, seed=9))


def test_profile_that_changes_the_network_is_refused_once_round_0_is_trained(
    a_service, a_project_in_review
):
    opened(a_service, a_project_in_review)
    assert "is fixed" in refusal(a_service, ask.ChangeSettings({"profile": "legacy"})).message
