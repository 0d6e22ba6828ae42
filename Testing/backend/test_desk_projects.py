"""Requests about a project as a whole, to real desks: who has it open, settings, rounds."""

import socket
import sys
from dataclasses import replace

import pytest
from asking_desks import PATIENCE_S, answer, opened, refusal
from small_projects import (
    SCHEMA,
    make_project,
)

from PseudoLabelCLLib.domain import desk_requests as ask
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.desk_answers import Done
from PseudoLabelCLLib.domain.errors import ProjectInUseError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.review import ProposalIdentity
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.process.desk_protocol import encode_request
from PseudoLabelCLLib.process.process_tree import start_tree
from PseudoLabelCLLib.storage.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project_lock import project_lock
from PseudoLabelCLLib.storage.project_store import load_project, save_round

pytestmark = pytest.mark.slow


def creation(root):
    return ask.CreateProject(str(root), "Hearts", Profile.BALANCED, SCHEMA)


def test_project_is_made_and_open_at_once(a_desk, tmp_path):
    root = tmp_path / "new" / "Größe 心"
    view = answer(a_desk, creation(root))
    assert (view.root, view.name, view.labels, view.cases) == (str(root), "Hearts", SCHEMA, ())
    assert view.config == config_for(Profile.BALANCED)
    assert load_project(root).schema == SCHEMA
    with pytest.raises(ProjectInUseError), project_lock(ProjectLayout(root).desk_lock, "a test"):
        pass
    assert sorted(p.name for p in root.parent.iterdir()) == [root.name]


def test_project_without_a_name_is_called_like_its_folder(a_desk, tmp_path):
    request = replace(creation(tmp_path / "hearts"), name=" ")
    assert answer(a_desk, request).name == "hearts"


def test_project_is_opened_and_closed(a_desk, a_project):
    view = opened(a_desk, a_project)
    assert [case.id for case in view.cases] == ["heart", "other-1", "other-2"]
    assert answer(a_desk, ask.CloseProject()) == Done()
    with project_lock(ProjectLayout(a_project).desk_lock, "a test"):
        pass
    assert refusal(a_desk, ask.Refresh()).message == "No project is open."


def test_project_open_in_one_window_is_refused_in_another_until_it_is_closed(start_desk, a_project):
    first, second = start_desk(), start_desk()
    opened(first, a_project)
    refused = refusal(second, ask.OpenProject(str(a_project)))
    assert refused.error_type == "ProjectInUseError"
    assert refused.message == (
        f"The project '{a_project}' is in use by the PseudoLabelCL panel "
        f"(process {first.pid} on {socket.gethostname()})."
    )
    answer(first, ask.CloseProject())
    assert opened(second, a_project).name == "Hearts"


def test_opening_the_open_project_again_reads_it_again(a_desk, a_project):
    opened(a_desk, a_project)
    assert opened(a_desk, a_project / ".." / a_project.name).name == "Hearts"


def test_project_stays_open_when_another_cannot_be_opened(a_desk, a_project, tmp_path):
    opened(a_desk, a_project)
    refusal(a_desk, ask.OpenProject(str(tmp_path / "nowhere")))
    refusal(a_desk, creation(a_project))
    assert answer(a_desk, ask.Refresh()).root == str(a_project)
    assert not (tmp_path / "nowhere").exists()


def test_opening_another_project_lets_go_of_the_first(start_desk, a_project, tmp_path):
    first, second = start_desk(), start_desk()
    other = make_project(tmp_path / "more" / "other", num_unlabelled=0)
    opened(first, a_project)
    assert opened(first, other).root == str(other)
    assert opened(second, a_project).root == str(a_project)


def test_round_that_a_worker_has_begun_is_seen_at_the_next_request(a_desk, a_project_in_review):
    root = a_project_in_review
    opened(a_desk, root)
    save_round(root, Round(0, RoundState.CLOSED))
    save_round(root, Round(1, RoundState.TRAINING))
    refused = refusal(a_desk, ask.Accept((ProposalIdentity("other-1", 0, "0" * 64),)))
    assert refused.message == "Round 1 is 'training', not in review."
    assert answer(a_desk, ask.Refresh()).plan.goes_on


def test_desk_lets_go_of_the_project_when_its_parent_closes_the_line(a_project):
    desk = start_tree([sys.executable, "-m", "PseudoLabelCLLib.desk"], {})
    requests = (ask.OpenProject(str(a_project)), ask.SetRole(("other-1",), CaseRole.IGNORED))
    lines = b"".join(encode_request(n, request) for n, request in enumerate(requests))
    out, _ = desk.communicate(lines, timeout=PATIENCE_S)
    assert [line[:20] for line in out.splitlines()[1:]] == [b'{"type": "Answered",'] * 2
    assert desk.returncode == 0
    with project_lock(ProjectLayout(a_project).desk_lock, "a test"):
        assert load_project(a_project).case("other-1").role is CaseRole.IGNORED


def test_what_was_asked_is_done_even_if_nobody_hears_the_answer(a_project):
    desk = start_tree([sys.executable, "-m", "PseudoLabelCLLib.desk"], {})
    desk.stdout.close()
    requests = (ask.OpenProject(str(a_project)), ask.SetRole(("other-1",), CaseRole.IGNORED))
    desk.stdin.write(b"".join(encode_request(n, request) for n, request in enumerate(requests)))
    desk.stdin.close()
    assert desk.wait(PATIENCE_S) == 0
    desk.stderr.close()
    assert load_project(a_project).case("other-1").role is CaseRole.IGNORED


def test_settings_change_by_name(a_desk, a_project):
    opened(a_desk, a_project)
    view = answer(
        a_desk, ask.ChangeSettings({"training.seed": "7", "training.joint.num_steps": "3"})
    )
    assert (view.config.training.seed, view.config.training.joint.num_steps) == (7, 3)
    assert load_project(a_project).config == view.config


def test_another_profile_takes_over_its_settings_before_single_ones(a_desk, a_project):
    opened(a_desk, a_project)
    answer(a_desk, ask.ChangeSettings({"training.seed": "7"}))
    view = answer(a_desk, ask.ChangeSettings({"training.seed": "9", "profile": "balanced"}))
    usual = config_for(Profile.BALANCED)
    assert view.config == replace(usual, training=replace(usual.training, seed=9))


def test_profile_that_changes_the_network_is_refused_once_round_0_is_trained(
    a_desk, a_project_in_review
):
    opened(a_desk, a_project_in_review)
    assert "is settled" in refusal(a_desk, ask.ChangeSettings({"profile": "legacy"})).message
