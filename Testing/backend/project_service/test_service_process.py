"""The service's process and its parent: real children, exact lists of events."""

import os
import subprocess
import sys
import time
from pathlib import Path

import fake_services
import psutil
import pytest
from asking_services import PATIENCE_S, answers_to, events_until, running_services

from PseudoLabelCLLib.domain.errors import WorkerError
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.review import ProposalIdentity
from PseudoLabelCLLib.messages.answers import Done
from PseudoLabelCLLib.messages.requests import (
    Accept,
    CloseProject,
    FindVolumes,
    Refresh,
)
from PseudoLabelCLLib.messages.service_messages import (
    Answered,
    Refused,
    RequestProgress,
    ServiceEnded,
    decode_message,
)
from PseudoLabelCLLib.process.process_tree import start_tree
from PseudoLabelCLLib.process.service_process import ServiceProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the fakes use POSIX signals and libc"),
]

NOTHING_OPEN = ("ProjectError", "No project is open.", "Open a project first.")


@pytest.fixture
def start():
    """Starts services, fakes by their name, and leaves none behind."""
    with running_services() as start:

        def start_one(fake=None, python=sys.executable):
            folder = str(Path(fake_services.__file__).parent)
            environment = {"PYTHONPATH": folder, "FAKE_SERVICE": fake or ""}
            return start(python, environment, **({"module": "fake_services"} if fake else {}))

        yield start_one


def all_events(service):
    return events_until(service, lambda event: isinstance(event, ServiceEnded))


def wait_until(condition):
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_answer_of_a_newer_service_ends_it_instead_of_letting_the_panel_wait(start):
    service = start("answer_as_a_newer_one")
    service.ask(CloseProject())
    (ended,) = all_events(service)
    assert isinstance(ended, ServiceEnded)
    assert "does not understand" in ended.message
    assert "Not answered: closing the project" in ended.message
    assert ended.remedy.startswith("Restart Slicer")


def test_answer_of_another_type_than_the_request_names_ends_the_service(start):
    service = start("answer_another_question")
    service.ask(CloseProject())
    (ended,) = all_events(service)
    assert "closing the project was answered with History, expected Done" in ended.message
    assert "Not answered: closing the project" in ended.message


def test_requests_are_handled_in_the_order_in_which_they_come(start, tmp_path):
    service = start()
    numbers = [service.ask(request) for request in (CloseProject(), Refresh(), CloseProject())]
    assert numbers == [0, 1, 2]
    assert answers_to(service, 2) == [
        Answered(0, Done()),
        Refused(1, *NOTHING_OPEN),
        Answered(2, Done()),
    ]


def test_asking_takes_no_longer_when_the_service_does_not_listen(start):
    service = start("deaf")
    for _ in range(20):  # far more than a pipe holds
        service.ask(Accept((ProposalIdentity("a case", 0, "0" * 64),) * 20_000))
    assert service.poll() == []
    service.kill()
    assert len(all_events(service)) == 1


def test_prints_of_all_kinds_break_no_line_and_the_standard_input_is_empty(start):
    service = start("print_stray_text")
    assert answers_to(service, service.ask(CloseProject())) == [
        RequestProgress(0, Progress("stdin holds ''", 1, 2)),
        Answered(0, Done()),
    ]
    service.close()
    for text in ("Python", "the first stdout", "printf", "a child"):
        assert f"from {text}\n" in service.stderr_tail


def test_defect_is_refused_with_its_traceback_in_the_log_and_the_service_lives_on(start):
    service = start("stumble")
    service.ask(CloseProject())
    first, second = answers_to(service, service.ask(Refresh()))
    assert first == Refused(
        0,
        "InternalError",
        "An unexpected error occurred: ZeroDivisionError: over zero.",
        "Please report it, with the log of the helper process.",
    )
    assert second == Refused(1, *NOTHING_OPEN)
    service.close()
    assert "fake_services.py" in service.stderr_tail
    assert "ZeroDivisionError" in service.stderr_tail


def test_full_memory_is_refused_with_a_remedy(start):
    service = start("run_out_of_memory")
    (refused,) = answers_to(service, service.ask(CloseProject()))
    assert refused.error_type == "OutOfMemoryError"
    assert refused.remedy == "Close other programs, then try again."


def test_words_of_a_refusal_arrive_letter_by_letter(start):
    service = start("refuse_oddly")
    assert answers_to(service, service.ask(CloseProject())) == [
        Refused(0, "ProjectError", "Größe 日本 \udcff \u2028 is no name.", "Choose another.")
    ]


def test_answer_that_cannot_be_sent_is_a_refusal(start):
    service = start("answer_nonsense")
    (refused,) = answers_to(service, service.ask(CloseProject()))
    assert (refused.to, refused.error_type) == (0, "InternalError")


def test_long_work_is_told_step_by_step(start):
    service = start("work_much")
    events = answers_to(service, service.ask(CloseProject()))
    assert events == [
        *(
            RequestProgress(0, Progress("ä" * 1000, n, fake_services.MANY))
            for n in range(fake_services.MANY)
        ),
        Answered(0, Done()),
    ]


def test_death_is_told_once_with_what_was_left_unanswered(start):
    service = start("die")
    for request in (Refresh(), CloseProject(), FindVolumes("a"), FindVolumes("b"), Refresh()):
        service.ask(request)
    refused, ended = all_events(service)
    assert refused == Refused(0, *NOTHING_OPEN)
    assert "exit code 9" in ended.message
    assert ended.message.endswith(
        "Not answered: closing the project, looking for volumes, reading the project."
    )
    assert ended.remedy.startswith("Open the project again")
    assert "last words" in ended.stderr_tail
    assert not service.is_alive
    assert service.poll() == []


def test_crash_is_told_in_plain_words(start):
    service = start("crash_natively")
    service.ask(CloseProject())
    (ended,) = all_events(service)
    assert "it accessed memory that it does not own (SIGSEGV)" in ended.message
    assert "worker" not in ended.message


def test_request_after_the_end_is_refused(start):
    service = start()
    service.kill()
    assert all_events(service)[0].message == "The helper process was ended on request."
    number = service.ask(Refresh())
    (refused,) = service.poll()
    assert (refused.to, refused.error_type) == (number, "WorkerError")
    assert refused.message == "The helper process has ended: reading the project is not possible."


def test_service_of_another_version_is_ended_with_a_sentence(start):
    service = start("speak_another_version")
    service.ask(Refresh())
    (ended,) = all_events(service)
    assert "speaks version 99 of the protocol, this program speaks version 3." in ended.message
    assert "install the extension again" in ended.remedy


def test_what_a_launcher_prints_and_unknown_messages_are_passed_over(start):
    service = start("babble")
    service.ask(CloseProject())
    assert answers_to(service, 0) == [Answered(0, Done())]


def test_closing_lets_the_service_finish_what_it_was_asked(start):
    service = start("work_much")
    service.ask(CloseProject())
    service.ask(Refresh())
    service.close(patience_s=PATIENCE_S)
    *_, answered, refused, ended = service.poll()
    assert answered == Answered(0, Done())
    assert refused == Refused(1, *NOTHING_OPEN)
    assert ended.message == "The helper process was ended on request."
    assert service._process.returncode == 0


def test_service_that_hangs_is_killed_when_patience_ends(start):
    service = start("hang")
    service.ask(CloseProject())
    events_until(service, lambda event: isinstance(event, RequestProgress))
    service.close(patience_s=0.1)
    (ended,) = service.poll()
    assert ended.message == (
        "The helper process was ended on request. Not answered: closing the project."
    )


def test_service_behind_a_launcher_is_killed_with_it(start, tmp_path):
    launcher = tmp_path / "a launcher"
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    launcher.chmod(0o755)
    service = start("hang", python=launcher)
    service.ask(CloseProject())
    events_until(service, lambda event: isinstance(event, RequestProgress))
    children = [child.pid for child in psutil.Process(service.pid).children(recursive=True)]
    assert children
    service.kill()
    all_events(service)
    wait_until(lambda: all(is_gone(pid) for pid in children))


def test_interpreter_that_is_not_there_is_a_sentence(start, tmp_path):
    with pytest.raises(WorkerError, match=r"cannot be started with .*no python"):
        ServiceProcess.start(tmp_path / "no python")


def test_service_ends_by_itself_with_exit_code_0_when_its_parent_closes_the_line():
    service = start_tree([sys.executable, "-m", "PseudoLabelCLLib.project_service"], {})
    out, _ = service.communicate(
        b'{"type": "CloseProject", "seq": 5}\n\n{"type": "CloseProject", "seq": 6}\n{"type": "Clo',
        timeout=PATIENCE_S,
    )
    ready, *answers = out.splitlines()
    assert ready.startswith(b'{"type": "ServiceReady", "protocol_version": 3, "pid": ')
    assert answers == [
        b'{"type": "Answered", "to": 5, "answer": {"type": "Done"}}',
        b'{"type": "Answered", "to": 6, "answer": {"type": "Done"}}',
    ]
    assert service.returncode == 0


def test_line_that_is_no_request_is_refused_and_the_next_one_handled():
    service = start_tree([sys.executable, "-m", "PseudoLabelCLLib.project_service"], {})
    lines = (
        b"no JSON",
        b'{"type": "CloseProject"}',
        b'{"type": "Dance", "seq": 1}',
        b'{"type": "OpenProject", "seq": 2}',
        b'{"type": "OpenProject", "seq": 3, "root": "x", "more": 1}',
        b'{"type": "SetRole", "seq": 4, "case_ids": [], "role": "boss"}',
        b'{"type": "CloseProject", "seq": 5}',
    )
    out, _ = service.communicate(b"\n".join(lines) + b"\n", timeout=PATIENCE_S)
    _, *answers = out.splitlines()
    numbers = [int(line.split(b'"to": ')[1].split(b",")[0]) for line in answers]
    assert numbers == [-1, -1, 1, 2, 3, 4, 5]
    assert all(line.startswith(b'{"type": "Refused"') for line in answers[:-1])
    assert answers[-1].startswith(b'{"type": "Answered"')
    dance, no_root, more = [decode_message(line) for line in answers[2:5]]
    assert isinstance(dance, Refused)
    assert "There is no request of the type 'Dance'." in dance.message
    assert isinstance(no_root, Refused)
    assert "OpenProject lacks root." in no_root.message
    assert isinstance(more, Refused)
    assert "unknown fields: more" in more.message


def test_service_imports_neither_torch_nor_what_only_some_requests_need():
    script = (
        "import sys, PseudoLabelCLLib.project_service.serve\n"
        "import PseudoLabelCLLib.project_service.handlers.project\n"
        "import PseudoLabelCLLib.project_service.handlers.dicom\n"
        "late = {'torch', 'monai', 'SimpleITK', 'scipy', 'matplotlib', 'highdicom', 'pydicom'}\n"
        "print(sorted(late & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert told.stdout.strip() == b"[]"


def test_no_request_brings_torch_along():
    script = (
        "import sys\n"
        "from PseudoLabelCLLib.project_service.handle_request import handler_of\n"
        "from PseudoLabelCLLib.messages.requests import known_requests\n"
        "for request_type in known_requests():\n"
        "    handler_of(request_type)\n"
        "print(sorted({'torch', 'monai'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, env=environment
    )
    assert told.stdout.strip() == b"[]", told.stderr.decode()


def test_kill_from_outside_is_told_as_such(start):
    service = start()
    answers_to(service, service.ask(CloseProject()))
    psutil.Process(service.pid).kill()
    (ended,) = all_events(service)
    assert "reads and writes projects was killed from outside" in ended.message
