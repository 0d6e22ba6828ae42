"""One process at a time works on a project, and a dead one is in nobody's way."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from PseudoLabelCLLib.domain.errors import ProjectError, ProjectInUseError
from PseudoLabelCLLib.storage.project.project_lock import project_lock

_HOLDER = """
import sys
from pathlib import Path
from PseudoLabelCLLib.storage.project.project_lock import project_lock
with project_lock(Path(sys.argv[1]), "another Slicer"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def a_lock(tmp_path):
    return tmp_path / "desk.lock"


@pytest.fixture
def another_process(a_lock):
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(a_lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout.readline().strip() == b"held"
        yield process
        process.kill()


def take(lock):
    with project_lock(lock, "the test"):
        pass


def test_second_process_is_told_who_holds_the_lock(a_lock, another_process):
    with pytest.raises(ProjectInUseError, match="another Slicer") as caught:
        take(a_lock)
    assert str(another_process.pid) in caught.value.message
    assert caught.value.remedy


def test_refused_taker_leaves_the_holders_words(a_lock, another_process):
    for _ in range(2):
        with pytest.raises(ProjectInUseError, match="another Slicer"):
            take(a_lock)


def test_lock_is_free_after_an_ordinary_end(a_lock, another_process):
    another_process.communicate(b"")
    take(a_lock)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_lock_dies_with_a_killed_process(a_lock, another_process):
    another_process.send_signal(signal.SIGKILL)
    another_process.wait()
    assert a_lock.read_bytes()  # its words are still there
    take(a_lock)


def test_same_process_cannot_hold_it_twice(a_lock):
    with project_lock(a_lock, "first"), pytest.raises(ProjectInUseError, match="first"):
        take(a_lock)
    take(a_lock)


def test_lock_is_free_after_an_error_in_the_block(a_lock):
    def fail():
        with project_lock(a_lock, "first"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    take(a_lock)


def test_started_children_do_not_keep_the_lock(a_lock):
    with project_lock(a_lock, "first"):
        child = multiprocessing.get_context("spawn").Process(target=os.getpid)
        sleeper = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"],
                                   stdin=subprocess.PIPE)  # fmt: skip
        child.start()
    take(a_lock)
    sleeper.communicate(b"")
    child.join()


def test_garbage_in_the_lock_file_of_a_dead_process_does_not_disturb(a_lock):
    a_lock.write_bytes(b"\xff\x00garbage")
    take(a_lock)


def test_missing_folder_is_told(tmp_path):
    with pytest.raises(ProjectError, match="was not found"):
        take(tmp_path / "none" / "desk.lock")


def test_folder_in_place_of_the_lock_is_told(a_lock):
    a_lock.mkdir()
    with pytest.raises(ProjectError, match="folder"):
        take(a_lock)
