"""Slicer is killed during review and during training: nothing is lost, and it goes on there."""

import subprocess
import sys
from pathlib import Path

import mistreated_projects as projects
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="these kills are POSIX signals"),
]
SLICER = Path(__file__).with_name("a_slicer_to_kill.py")


def kill_while(what, root):
    """Let a process do something in a project, kill it, and wait until its children have ended."""
    process = subprocess.Popen(
        [sys.executable, str(SLICER), str(root), what], stdout=subprocess.PIPE, text=True
    )
    try:
        children = []
        for line in process.stdout:
            if line.startswith("child"):
                children.append(int(line.split()[1]))
            if line == "done\n":
                break
        assert children, "it has not come so far"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    for child in children:
        projects.wait_for_end(child)


def test_killed_in_review_it_goes_on_with_the_case_that_has_no_verdict(a_real_panel, tmp_path):
    root = projects.in_review(tmp_path)
    kill_while("review", root)
    assert projects.verdicts(root) == {"other-2": "accepted"}
    a_real_panel.open(root)
    a_real_panel.until(lambda state: state.message.next_step.text)
    text, _remedy, button = a_real_panel.said
    assert text == "1 proposal is waiting for review."
    assert button == "Review"
    a_real_panel.click("messageButton")
    a_real_panel.until(lambda _state: a_real_panel.is_shown("other-1"))
    assert [row.verdict for row in a_real_panel.state.review.queue] == ["accepted", ""]


@pytest.mark.long
def test_killed_in_training_the_worker_saves_ends_and_the_round_goes_on(a_real_panel, tmp_path):
    root = projects.untrained(tmp_path)
    kill_while("train", root)
    assert (root / "rounds" / "round_00" / "checkpoint.pt").is_file()
    a_real_panel.open(root)
    a_real_panel.until(lambda state: state.message.next_step.text)
    text, _remedy, button = a_real_panel.said
    assert text == "Round 0 was interrupted; everything is saved."
    assert button == "Continue round 0"
    a_real_panel.click("messageButton")
    a_real_panel.until(lambda state: state.train.loss.x)
    assert a_real_panel.state.train.loss.x[0] > 1, "it began anew"
