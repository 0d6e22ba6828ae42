"""What a person sees when the worker dies or cannot go on, and that the offered step goes on."""

import shutil
import sys

import mistreated_projects as projects
import pytest
import torch
from PseudoLabelCLGui.panel_state import Light

resource = pytest.importorskip("resource")  # Windows has none

pytestmark = pytest.mark.slow


@pytest.fixture
def in_training(a_real_panel, tmp_path):
    """The panel while round 0 is being trained, with a checkpoint on disk."""
    root = projects.untrained(tmp_path)
    a_real_panel.open(root)
    a_real_panel.until(lambda state: state.train.train.enabled)
    a_real_panel.click("trainButton")
    a_real_panel.until(lambda state: state.train.loss.x)
    checkpoint = root / "rounds" / "round_00" / "checkpoint.pt"
    a_real_panel.until(lambda _state: checkpoint.exists())
    return a_real_panel


def is_told(state):
    return state.message.light is Light.RED


def goes_on(panel):
    """Press the offered button and wait until the network learns again."""
    steps_before = panel.state.train.loss.x[-1]
    panel.click("messageButton")
    panel.until(lambda state: state.train.is_running)
    panel.until(lambda state: state.train.fraction and state.train.loss.x[-1] > steps_before)


def test_a_worker_that_was_killed_is_told_and_continue_goes_on(in_training):
    projects.end_at_once(in_training.workers[0].pid)
    in_training.until(is_told)
    text, remedy, button = in_training.said
    assert text.startswith("The worker was killed from outside, most often because the computer's")
    assert "Everything up to the last checkpoint is kept." in text
    assert "Close other programs or choose smaller settings" in remedy
    assert button == "Continue"
    goes_on(in_training)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
@pytest.mark.skipif(torch.version.cuda is not None, reason="CUDA's libraries alone fill the limit")
@pytest.mark.long
def test_memory_that_runs_out_is_told_and_continue_is_offered(a_real_panel, tmp_path):
    a_real_panel.packages.python = python_with_little_memory(tmp_path / "python")
    root = projects.untrained(tmp_path, batch_size=200_000)
    a_real_panel.open(root)
    a_real_panel.until(lambda state: state.train.train.enabled)
    a_real_panel.click("trainButton")
    a_real_panel.until(is_told)
    text, remedy, button = a_real_panel.said
    assert "ran out of memory" in text
    assert "smaller" in remedy
    assert button == "Continue"
    a_real_panel.presenter.train.change_setting("training.supervised.batch_size", "2")
    a_real_panel.until(lambda _state: a_real_panel.is_idle(), fault=True)
    a_real_panel.click("trainButton")
    a_real_panel.until(lambda state: state.train.loss.x, fault=True)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
@pytest.mark.long
def test_a_disk_that_takes_no_more_is_told_and_continue_goes_on(in_training):
    limit_now(in_training.workers[0].pid, resource.RLIMIT_FSIZE)
    in_training.until(is_told)
    text, _remedy, button = in_training.said
    assert "could not be written" in text, text
    assert button == "Continue"
    goes_on(in_training)


def offers_to_open_again(panel):
    """The worker's end is told first; that the project cannot be read is known a moment later."""
    panel.until(is_told)
    panel.until(lambda _state: panel.said[2] == "Open again", fault=True)


def test_a_project_that_was_deleted_during_training_is_told_and_does_not_come_back(
    in_training, tmp_path
):
    shutil.rmtree(tmp_path / "hearts")
    offers_to_open_again(in_training)
    text, remedy, _button = in_training.said
    assert "hearts" in text, text
    assert remedy
    assert not (tmp_path / "hearts").exists()


@pytest.mark.long
def test_a_drive_that_comes_back_is_opened_again_and_the_round_goes_on(in_training, tmp_path):
    root = tmp_path / "hearts"
    root.rename(tmp_path / "away")
    offers_to_open_again(in_training)
    (tmp_path / "away").rename(root)
    in_training.click("messageButton")
    in_training.until(lambda state: state.train.train.enabled, fault=True)
    assert in_training.state.train.train.text == "Continue round 0"
    in_training.click("trainButton")
    in_training.until(lambda state: state.train.fraction, fault=True)


def limit_now(pid, what):
    """Let a running process write no larger files than this."""
    resource.prlimit(pid, what, (1 << 10, 1 << 10))


def python_with_little_memory(path):
    """Make an interpreter whose processes have 4 GB of addresses: room for torch on one core."""
    path.write_text(
        f"#!{sys.executable}\n"
        "import os, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4 * 10**9, 4 * 10**9))\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
    )
    path.chmod(0o755)
    return path
