"""The short form of Testing/robustness/fuzz.py: changed files that only our own readers see."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "robustness"))
import fuzz

TRIALS = {"json": 20, "models": 20, "headers": 60, "lines": 60}


@pytest.fixture(scope="module")
def a_zoo(tmp_path_factory):
    return fuzz.Zoo.made(tmp_path_factory.mktemp("zoo"))


def test_unchanged_files_are_read(a_zoo):
    ways = [*fuzz.read_project(a_zoo), lambda: fuzz.read_model(a_zoo.models[0])]
    ways += [lambda path=path: fuzz.check_header(path) for path in a_zoo.images]
    assert [fuzz._outcome_of(way) for way in ways] == ["read"] * len(ways)
    assert len(a_zoo.json_files) >= 9


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_changed_files_end_in_an_answer_or_in_a_sentence(a_zoo, kind):
    outcomes = Counter(
        fuzz.trial(a_zoo, kind, seed=14, number=number, own=True) for number in range(TRIALS[kind])
    )
    assert set(outcomes) <= {"read", "refused"}, outcomes
    assert outcomes["refused"]


def test_a_fault_would_be_counted(a_zoo, monkeypatch):
    def fault(_):
        raise KeyError("found")

    monkeypatch.setattr(fuzz, "check_header", fault)
    assert fuzz.trial(a_zoo, "headers", 1, 1, own=True).startswith("KeyError in test_fuzz.py")


def test_a_file_that_reading_changed_would_be_counted(a_zoo, monkeypatch):
    def write(path):
        path.with_name("new").write_text("")

    monkeypatch.setattr(fuzz, "check_header", write)
    assert fuzz.trial(a_zoo, "headers", 1, 1, own=True) == "changed a file by reading"
    (a_zoo.folder / "images" / "new").unlink()
