"""Services that behave oddly; the variable FAKE_SERVICE names how."""

import ctypes
import os
import subprocess
import sys
import time

from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.messages.answers import Done, History
from PseudoLabelCLLib.messages.project_view import RoundFigures
from PseudoLabelCLLib.project_service import serve
from PseudoLabelCLLib.project_service.handlers import project as project_requests

MANY = 500


def print_stray_text(holder, request, working):
    print("from Python")
    sys.__stdout__.write("from the first stdout\n")
    sys.__stdout__.flush()
    os.write(1, b'{"type": "Answered", "to": 0, "answer": {"type": "Done"}}\n')
    libc = ctypes.CDLL(None)
    libc.printf(b"from printf\n")
    libc.fflush(None)
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    working(f"stdin holds {sys.stdin.read()!r}", 1, 2)
    return Done()


def stumble(holder, request, working):
    raise ZeroDivisionError("over zero\nsecond line")


def run_out_of_memory(holder, request, working):
    raise MemoryError


def refuse_oddly(holder, request, working):
    raise ProjectError("Größe 日本 \udcff \u2028 is no name.", "Choose another.")


def answer_nonsense(holder, request, working):
    return History((RoundFigures(0, float("nan"), None, 0, None),))


def die(holder, request, working):
    print("last words")
    os._exit(9)


def crash_natively(holder, request, working):
    ctypes.string_at(0)


def hang(holder, request, working):
    working("Hanging", 0, 1)
    time.sleep(600)


def work_much(holder, request, working):
    for number in range(MANY):
        working("ä" * 1000, number, MANY)
    return Done()


def speak_another_version():
    print('{"type": "ServiceReady", "protocol_version": 99, "pid": 1, "new": true}')
    time.sleep(600)


def babble():
    print("Slicer says hello.")
    print('{"type": "ServiceReady", "protocol_version": 1, "pid": 1}')
    print('{"type": "Applause", "to": 0}')
    print('{"type": "Answered", "to": 0, "answer": {"type": "Done"}}')
    sys.stdin.read()


def answer_as_a_newer_one():
    print('{"type": "ServiceReady", "protocol_version": 1, "pid": 1}')
    print('{"type": "Answered", "to": 0, "answer": {"type": "Done", "more": 1}}')
    time.sleep(600)


def deaf():
    print('{"type": "ServiceReady", "protocol_version": 1, "pid": 1}')
    time.sleep(600)


def main():
    fake = globals()[os.environ["FAKE_SERVICE"]]
    if fake in (speak_another_version, babble, answer_as_a_newer_one, deaf):
        return fake()
    project_requests.HANDLERS["CloseProject"] = fake
    return serve.main()


if __name__ == "__main__":
    sys.exit(main())
