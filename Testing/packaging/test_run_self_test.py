"""The script that runs the self-test in Slicer always ends, and says how it went."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "slicer" / "run_self_test.py"
# What the script asks of Slicer; `exit` of the real one ends the application with this code.
A_SLICER = """
import logging, sys, time
from types import SimpleNamespace
app = SimpleNamespace(applicationVersion="5.12.3", revision="1", os="here", arch="this",
                      currentLogFile=lambda: "Slicer.log")
util = SimpleNamespace(mainWindow=lambda: None, exit=sys.exit)
def test(python):
    logging.warning("python is '%s'", python)
    {body}
selfTests = {{"PseudoLabelCL": test}}
"""


@pytest.fixture
def run(tmp_path):
    def run_it(body, *arguments):
        (tmp_path / "slicer.py").write_text(A_SLICER.format(body=body))
        return subprocess.run(
            [sys.executable, str(SCRIPT), *arguments],
            env={**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run_it


def record_in(folder):
    (file,) = folder.glob("PseudoLabelCL-self-test-*.txt")
    return file.read_text("utf-8")


def test_success_is_the_exit_code_and_the_last_line(run, tmp_path):
    done = run("pass", "/opt/python")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "Self-test of PseudoLabelCL: PASSED"
    assert "python is '/opt/python'" in record_in(tmp_path)


def test_failure_is_the_exit_code_and_the_record_has_the_reason(run, tmp_path):
    done = run("raise AssertionError('The panel was not built.')")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "Self-test of PseudoLabelCL: FAILED"
    record = record_in(tmp_path)
    assert "The panel was not built." in record
    assert "without a main window" in record
    assert "python is ''" in record  # Slicer's own


def test_a_test_that_hangs_is_ended_and_the_record_says_where(run, tmp_path):
    done = run("time.sleep(600)", "-", "0.02")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "Self-test of PseudoLabelCL: FAILED"
    assert 'slicer.py", line' in record_in(tmp_path)


def test_a_crash_leaves_the_place_in_the_record(run, tmp_path):
    done = run("import ctypes; ctypes.string_at(0)")
    assert done.returncode != 0
    assert "Segmentation fault" in record_in(tmp_path)
