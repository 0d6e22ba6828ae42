"""Services that behave oddly; the variable FAKE_SERVICE names how."""

import ctypes
import os
import subprocess
import sys
import time

from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.messages.answers import Done, History
from PseudoLabelCLLib.messages.project_view import RoundFigures
from PseudoLabelCLLib.messages.requests import CloseProject
from PseudoLabelCLLib.messages.service_messages import SERVICE_PROTOCOL_VERSION
from PseudoLabelCLLib.project_service import handle_request, serve
from PseudoLabelCLLib.project_service.handle_request import handler_of

MANY = 500
READY = f'{{"type": "ServiceReady", "protocol_version": {SERVICE_PROTOCOL_VERSION}, "pid": 1}}'


def print_stray_text(session, request, progress):
    print("from Python")
    sys.__stdout__.write("from the first stdout\n")
    sys.__stdout__.flush()
    os.write(1, b'{"type": "Answered", "to": 0, "answer": {"type": "Done"}}\n')
    libc = ctypes.CDLL(None)
    libc.printf(b"from printf\n")
    libc.fflush(None)
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    progress(f"stdin holds {sys.stdin.read()!r}", 1, 2)
    return Done()


def stumble(session, request, progress):
    raise ZeroDivisionError("over zero\nsecond line")


def run_out_of_memory(session, request, progress):
    raise MemoryError


def refuse_oddly(session, request, progress):
    raise ProjectError("Größe 日本 \udcff \u2028 is no name.", "Choose another.")


def answer_nonsense(session, request, progress):
    return History((RoundFigures(0, float("nan"), None, 0, None),))


def answer_another_question(session, request, progress):
    return History(())


def die(session, request, progress):
    print("last words")
    os._exit(9)


def crash_natively(session, request, progress):
    ctypes.string_at(0)


def hang(session, request, progress):
    progress("Hanging", 0, 1)
    time.sleep(600)


def work_much(session, request, progress):
    for number in range(MANY):
        progress("ä" * 1000, number, MANY)
    return Done()


def speak_another_version():
    print('{"type": "ServiceReady", "protocol_version": 99, "pid": 1, "new": true}')
    time.sleep(600)


def babble():
    print("Slicer says hello.")
    print(READY)
    print('{"type": "Applause", "to": 0}')
    print('{"type": "Answered", "to": 0, "answer": {"type": "Done"}}')
    sys.stdin.read()


def answer_as_a_newer_one():
    print(READY)
    print('{"type": "Answered", "to": 0, "answer": {"type": "Done", "more": 1}}')
    time.sleep(600)


def deaf():
    print(READY)
    time.sleep(600)


def main():
    fake = globals()[os.environ["FAKE_SERVICE"]]
    if fake in (speak_another_version, babble, answer_as_a_newer_one, deaf):
        return fake()
    handler_of(CloseProject)  # registers the one that is replaced
    handle_request._handlers[CloseProject] = fake
    return serve.main()


if __name__ == "__main__":
    sys.exit(main())
