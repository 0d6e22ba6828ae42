"""Children get the right variables on Windows, and a tree is killed there without waiting."""

import json
import os
import subprocess
import sys
import time

import pytest

from PseudoLabelCLLib.process.process_tree import (
    kill_windows_tree,
    merged_environment,
    short_waits,
    start_tree,
)

PATIENCE_S = 20.0
WAITS = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_WAIT_POLICY", "KMP_LIBRARY")


@pytest.fixture
def a_child():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield child
    child.kill()
    child.wait()


@pytest.fixture
def taskkill(tmp_path, monkeypatch):
    """Write the program that Windows has, and let it be found."""

    def write(script):
        program = tmp_path / "taskkill"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return write


def test_variables_that_differ_in_case_alone_are_one_on_windows():
    own = {"PATH": r"C:\Slicer\bin", "TEMP": r"C:\Temp"}
    extra = {"Path": r"C:\Windows", "PYTHONHOME": ""}
    assert merged_environment(own, extra, ignores_case=True) == {
        "PATH": r"C:\Windows",
        "TEMP": r"C:\Temp",
        "PYTHONHOME": "",
    }


def test_variables_that_differ_in_case_are_two_elsewhere():
    merged = merged_environment({"http_proxy": "a"}, {"HTTP_PROXY": "b"}, ignores_case=False)
    assert merged == {"http_proxy": "a", "HTTP_PROXY": "b"}


@pytest.fixture
def nobody_says_how_threads_wait(monkeypatch):
    for name in WAITS:
        monkeypatch.delenv(name, raising=False)


def waits_of_child(environment):
    names = f"{{name: os.environ.get(name) for name in {WAITS}}}"
    command = [sys.executable, "-c", f"import json, os; print(json.dumps({names}))"]
    with start_tree(command, environment) as child:
        out, _ = child.communicate(timeout=PATIENCE_S)
    return {name: value for name, value in json.loads(out).items() if value is not None}


@pytest.mark.usefixtures("nobody_says_how_threads_wait")
def test_child_starts_with_short_waits_for_every_openmp_library():
    assert waits_of_child({}) == {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}


@pytest.mark.usefixtures("nobody_says_how_threads_wait")
@pytest.mark.parametrize("name", WAITS)
def test_who_says_how_threads_wait_is_not_overruled(name):
    assert waits_of_child({name: "0"}) == {name: "0"}


def test_tests_themselves_run_with_short_waits():
    assert short_waits(os.environ) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's library comes with PyTorch for Linux")
@pytest.mark.usefixtures("nobody_says_how_threads_wait")
def test_openmp_library_of_pytorch_takes_the_short_waits():
    command = [sys.executable, "-c", "import torch"]
    with start_tree(command, {"OMP_DISPLAY_ENV": "VERBOSE"}) as child:
        _, told = child.communicate(timeout=6 * PATIENCE_S)
    assert b"GOMP_SPINCOUNT = '1000'" in told


def test_the_window_does_not_wait_for_windows_to_kill(a_child, taskkill, tmp_path):
    may_end, called = tmp_path / "may end", tmp_path / "called"
    taskkill(
        f'echo "$@" > "{called}"\nwhile [ ! -e "{may_end}" ]; do sleep 0.02; done\nkill -9 "$4"'
    )
    kill_windows_tree(a_child)
    assert a_child.poll() is None  # taskkill waits for the file that is made now
    may_end.write_text("")
    assert a_child.wait(PATIENCE_S) != 0
    assert called.read_text().split() == ["/T", "/F", "/PID", str(a_child.pid)]


def test_a_child_that_taskkill_leaves_alive_is_killed_all_the_same(a_child, taskkill):
    taskkill("exit 1")
    kill_windows_tree(a_child)
    assert a_child.wait(PATIENCE_S) != 0


def test_a_child_is_killed_where_taskkill_is_missing(a_child, monkeypatch):
    monkeypatch.setenv("PATH", "")
    kill_windows_tree(a_child)
    assert a_child.wait(PATIENCE_S) != 0


def test_nothing_is_started_for_a_child_that_has_ended(taskkill, tmp_path):
    called = tmp_path / "called"
    taskkill(f'touch "{called}"')
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kill_windows_tree(ended)
    time.sleep(0.2)
    assert not called.exists()
