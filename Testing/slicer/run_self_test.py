"""Runs the module's self-test in a Slicer started with --python-script, and ends that Slicer.

Call: Slicer --no-splash [--no-main-window] --additional-module-paths FOLDER/PseudoLabelCL
--python-script FOLDER/Testing/slicer/run_self_test.py [PYTHON [MINUTES]]. PYTHON is an interpreter
that has PyTorch, if Slicer's own has not ("-" for Slicer's own); after MINUTES (60) the test is
given up. The last line that is printed says PASSED or FAILED, the exit code is 0 or 1. Everything
is written into a file as well, as Slicer has no console on Windows; the end tells its name.
"""

import faulthandler
import logging
import os
import platform
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import slicer

LIMIT_MINUTES = 60.0
# Something that holds Python's lock keeps the first watch from ending the test.
SECOND_WATCH_S = 30.0


class Record:
    """What is told, on the standard output and in a file that the tester sends back."""

    def __init__(self):
        name = f"PseudoLabelCL-self-test-{time.strftime('%Y%m%d-%H%M%S')}.txt"
        self.path = Path(tempfile.gettempdir()) / name
        self.file = self.path.open("w", encoding="utf-8", buffering=1)  # stays open to the end

    def tell(self, text):
        """Write a text to both; a Slicer without a console has no standard output."""
        self.file.write(f"{text}\n")
        if sys.stdout is not None:
            print(text, flush=True)

    def conclude(self, outcome):
        """Write what has to be sent back, and the last line."""
        self.tell(f"Send back: {self.path}")
        self.tell(f"Slicer's own log: {slicer.app.currentLogFile()}")
        self.tell(f"Self-test of PseudoLabelCL: {outcome}")


def describe_computer(record):
    app = slicer.app
    record.tell(f"Slicer {app.applicationVersion}, revision {app.revision}, {app.os} {app.arch}")
    record.tell(f"{platform.platform()}, Python {sys.version}")
    window = "with" if slicer.util.mainWindow() is not None else "without"
    record.tell(f"{window} a main window; arguments {sys.argv[1:]}")


def watch(record, limit_s):
    """End Slicer if the test does not; what all threads were doing is written first."""

    def give_up():
        faulthandler.dump_traceback(record.file, all_threads=True)
        record.tell(f"The self-test was not done within {limit_s / 60:.0f} minutes.")
        record.conclude("FAILED")
        os._exit(1)

    timer = threading.Timer(limit_s, give_up)
    timer.daemon = True
    timer.start()
    faulthandler.enable(record.file)
    faulthandler.dump_traceback_later(limit_s + SECOND_WATCH_S, exit=True, file=record.file)
    return timer


def main():
    given = dict(enumerate(sys.argv[1:]))
    python, minutes = given.get(0, "-"), float(given.get(1, LIMIT_MINUTES))
    record = Record()
    logging.getLogger().addHandler(logging.StreamHandler(record.file))
    describe_computer(record)
    timer = watch(record, 60 * minutes)
    exit_code = 1
    try:
        slicer.selfTests["PseudoLabelCL"](python="" if python == "-" else python)
        exit_code = 0
    except Exception:  # noqa: BLE001 - whatever went wrong becomes the exit code
        record.tell(traceback.format_exc())
    timer.cancel()
    record.conclude("FAILED" if exit_code else "PASSED")
    slicer.util.exit(exit_code)


main()
