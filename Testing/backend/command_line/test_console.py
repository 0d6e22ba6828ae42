"""What the command line shows: progress, tables, durations, events, JSON."""

import io
import json
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from PseudoLabelCLLib.command_line import show_job
from PseudoLabelCLLib.command_line.console import Console, format_seconds
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.messages.job_messages import (
    JobStarted,
    Metrics,
    Notice,
    NoticeLevel,
)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_progress_in_a_terminal_is_one_line_that_goes_away(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    console = Console()
    for step in range(11):
        console.progress("Training", step, 10, 100.0 - step)
    assert "\n" not in terminal.getvalue()
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("Training [########################] 10/10, 1 min 30 s left")
    console.warn("Look here.")
    assert terminal.getvalue().endswith("\rNote: Look here.\n")


def test_progress_in_a_file_is_a_line_for_every_tenth(capsys):
    console = Console()
    for step in range(1001):
        console.progress("Training", step, 1000, None)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert (lines[0], lines[-1]) == ("Training: 0 of 1000", "Training: 1000 of 1000")


def test_progress_is_not_shown_while_the_number_of_steps_is_not_known(capsys):
    Console().progress("Reading", 0, 0, None)
    assert capsys.readouterr().err == ""


def test_columns_of_a_table_lie_below_each_other(capsys):
    Console().table(("case", "Dice"), [("a", "0.5"), ("longer", "-")])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["  case    Dice", "  ------  ----", "  a        0.5", "  longer     -"]


def test_characters_that_a_terminal_lacks_do_not_stop_the_program(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    Console().say("Größe \udcff 日本")
    assert raw.getvalue().rstrip() == b"Gr??e ? ??"


def test_nothing_but_json_is_written_for_machines(capsys):
    console = Console(as_json=True)
    console.say("a")
    console.warn("b")
    console.table(("c",), [("d",)])
    console.progress("e", 1, 2, 3.0)
    console.result({"é": [1]})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"é": [1]}
    assert err == ""


@given(st.floats(0, 1e6))
def test_duration_in_words_is_right_to_its_smallest_unit(seconds):
    words = format_seconds(seconds).split()
    units = {"s": 1, "min": 60, "h": 3600}
    numbers, names = words[::2], words[1::2]
    found = sum(int(n) * units[name] for n, name in zip(numbers, names, strict=True))
    # half a second of rounding, and hours are told without seconds
    assert math.isclose(found, seconds, abs_tol=60 if "h" in names else 0.5001)
    assert all(int(n) < 60 for n, name in zip(numbers, names, strict=True) if name != "h")


@pytest.mark.parametrize(
    ("event", "out", "err"),
    [
        (Progress("Training", 1, 4, 2.0), "", "Training: 1 of 4, 2 s left\n"),
        (Metrics("Round 0", 5, {"validation Dice": 0.25, "loss": 1.0}),
         "Round 0, step 5: validation Dice 0.250\n", ""),
        (Metrics("Round 0", 5, {"loss": 1.0}), "", ""),
        (Notice(NoticeLevel.INFO, "Hello."), "Hello.\n", ""),
        (Notice(NoticeLevel.WARNING, "Beware."), "", "Note: Beware.\n"),
        (JobStarted(2, "train"), "", ""),
    ],
)  # fmt: skip
def test_events_of_a_job_are_shown(event, out, err, capsys):
    assert show_job._show(event, Console()) is None
    assert capsys.readouterr() == (out, err)
