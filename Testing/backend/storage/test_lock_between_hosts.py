"""Two computers on one disk that tells neither of the other's locks: one of them at a time.

Each computer is a thread here, with a name of its own; the system's lock says yes to everybody.
"""

import errno
import json
import os
import threading
import time

import pytest

from PseudoLabelCLLib.domain.errors import ProjectInUseError, StorageError
from PseudoLabelCLLib.storage.project import host_mark, project_lock

GONE_AFTER_S = 0.4


@pytest.fixture
def a_lock(tmp_path):
    return tmp_path / "desk.lock"


@pytest.fixture
def on(monkeypatch):
    """Do something on a computer of this name."""
    there = threading.local()
    monkeypatch.setattr(host_mark, "TOUCH_S", 0.03)
    monkeypatch.setattr(host_mark, "GONE_AFTER_S", GONE_AFTER_S)
    monkeypatch.setattr(host_mark, "_LOOK_S", 0.02)
    monkeypatch.setattr(project_lock, "_try_lock", lambda _: True)
    monkeypatch.setattr(project_lock, "_unlock", lambda _: None)
    monkeypatch.setattr(host_mark, "this_machine", lambda: getattr(there, "name", "here"))
    monkeypatch.setattr(
        host_mark.socket, "gethostname", lambda: f"name of {getattr(there, 'name', 'here')}"
    )

    def do(name, action):
        done = []

        def run():
            there.name = name
            try:
                done.append(action())
            except ProjectInUseError as error:
                done.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return done[0]

    return do


def take(lock, holder="the test"):
    with project_lock.project_lock(lock, holder):
        return "taken"


def left_by(lock, host, **more):
    """Leave words in a lock, as a computer does that stops at once."""
    words = {"holder": "another session", "process": os.getpid(), "machine": f"name of {host}"}
    lock.write_text(json.dumps(words | {"host": host, "token": "1"} | more))


def test_holder_on_another_computer_is_told(a_lock, on):
    with project_lock.project_lock(a_lock, "the panel"):
        refused = on("elsewhere", lambda: take(a_lock))
        assert f"in use by the panel (process {os.getpid()} on name of here)" in refused.message
        assert "Close it there" in refused.remedy
    assert on("elsewhere", lambda: take(a_lock)) == "taken"


def test_number_of_a_process_that_runs_here_says_nothing_of_another_computer(a_lock, on):
    """The computer that left it is gone; a process of the same number happens to run here."""
    left_by(a_lock, "elsewhere")
    assert f'"process": {os.getpid()}' in a_lock.read_text()
    assert on("here", lambda: take(a_lock)) == "taken"


def test_lock_of_a_computer_that_is_gone_is_taken_after_a_while(a_lock, on):
    left_by(a_lock, "elsewhere")
    start_s = time.monotonic()
    assert on("here", lambda: take(a_lock)) == "taken"
    assert time.monotonic() - start_s >= GONE_AFTER_S


def test_own_lock_of_a_process_that_was_killed_is_taken_at_once(a_lock, on, monkeypatch):
    monkeypatch.setattr(host_mark, "GONE_AFTER_S", 60)
    left_by(a_lock, "here")
    assert on("here", lambda: take(a_lock)) == "taken"


def test_lock_of_an_earlier_version_on_this_computer_is_taken_at_once(a_lock, on, monkeypatch):
    monkeypatch.setattr(host_mark, "GONE_AFTER_S", 60)
    a_lock.write_text('{"holder": "a training", "process": 7, "machine": "name of here"}')
    assert on("here", lambda: take(a_lock)) == "taken"


def test_computer_that_changed_its_name_still_knows_its_own_lock(a_lock, on, monkeypatch):
    monkeypatch.setattr(host_mark, "GONE_AFTER_S", 60)
    left_by(a_lock, "here", machine="the name it had yesterday")
    assert on("here", lambda: take(a_lock)) == "taken"


def test_computers_of_one_name_are_not_taken_for_one(a_lock, on, monkeypatch):
    monkeypatch.setattr(host_mark.socket, "gethostname", lambda: "localhost")
    with project_lock.project_lock(a_lock, "the panel"):
        assert isinstance(on("elsewhere", lambda: take(a_lock)), ProjectInUseError)


@pytest.mark.parametrize("hours", [-23, 23, 1000])
def test_clock_that_is_wrong_lets_nobody_in(a_lock, on, monkeypatch, hours):
    """The holder's disk dates what it touches by a clock that is wrong."""
    touched = host_mark.os.utime

    def touch(path):
        now_ns = time.time_ns() + hours * 3600 * 10**9
        touched(path, ns=(now_ns, now_ns))

    monkeypatch.setattr(host_mark.os, "utime", touch)
    with project_lock.project_lock(a_lock, "the panel"):
        time.sleep(0.1)
        assert isinstance(on("elsewhere", lambda: take(a_lock)), ProjectInUseError)


def test_copy_of_a_project_that_was_open_days_ago_is_not_waited_for(a_lock, on, monkeypatch):
    monkeypatch.setattr(host_mark, "GONE_AFTER_S", 60)
    left_by(a_lock, "elsewhere")
    days_ago = time.time() - 3 * 24 * 3600
    os.utime(a_lock, (days_ago, days_ago))
    assert on("here", lambda: take(a_lock)) == "taken"


def test_of_computers_that_race_for_a_lock_that_was_left_exactly_one_wins(a_lock, on):
    for _ in range(3):
        left_by(a_lock, "a computer that is gone")
        ended = threading.Event()
        found = []

        def race(number, ended=ended, found=found):
            def hold():
                with project_lock.project_lock(a_lock, f"number {number}"):
                    ended.wait(5)
                    return "taken"

            found.append(on(f"host {number}", hold))
            if len(found) == 3:  # all but the winner, who holds on until then
                ended.set()

        racers = [threading.Thread(target=race, args=(number,)) for number in range(4)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert found.count("taken") == 1
        assert all("in use by number" in one.message for one in found if one != "taken")


def test_claim_that_a_killed_process_left_here_does_not_delay(a_lock, on, monkeypatch):
    monkeypatch.setattr(host_mark, "GONE_AFTER_S", 60)
    a_lock.with_name("desk.lock.claim").write_text('{"host": "here", "token": "1"}')
    assert on("here", lambda: take(a_lock)) == "taken"
    assert [path.name for path in a_lock.parent.iterdir()] == ["desk.lock"]


def test_claim_of_a_computer_that_is_gone_is_removed_after_a_while(a_lock, on):
    a_lock.with_name("desk.lock.claim").write_text('{"host": "elsewhere", "token": "1"}')
    assert on("here", lambda: take(a_lock)) == "taken"
    assert [path.name for path in a_lock.parent.iterdir()] == ["desk.lock"]


def test_holder_that_slept_leaves_the_words_of_whoever_took_over(a_lock, on):
    with project_lock.project_lock(a_lock, "the sleeper") as mark:
        assert mark.is_held
        left_by(a_lock, "elsewhere")  # took over meanwhile
        assert not mark.is_held
    assert json.loads(a_lock.read_text())["host"] == "elsewhere"


def test_disk_without_locks_goes_by_the_words_alone(a_lock, on, monkeypatch):
    def refuse(_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(project_lock, "_try_lock", refuse)
    with project_lock.project_lock(a_lock, "the panel"):
        assert isinstance(on("here", lambda: take(a_lock)), ProjectInUseError)
    assert take(a_lock) == "taken"


def test_free_lock_needs_no_waiting(a_lock, on):
    take(a_lock)
    start_s = time.monotonic()
    take(a_lock)
    assert time.monotonic() - start_s < GONE_AFTER_S
    assert a_lock.read_bytes() == b""


def test_this_computer_is_told_from_others_by_more_than_its_name():
    assert host_mark.this_machine() == host_mark.this_machine()
    assert host_mark.this_machine() != host_mark.socket.gethostname()


def test_full_disk_is_told_and_leaves_no_claim(a_lock, monkeypatch):
    a_lock.touch()
    opened = os.fdopen

    def full(number, mode="r", **more):
        file = opened(number, mode, **more)
        if mode != "wb":
            return file
        file.close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(host_mark.os, "fdopen", full)
    with pytest.raises(StorageError, match="full"):
        take(a_lock)
    assert [path.name for path in a_lock.parent.iterdir()] == ["desk.lock"]
