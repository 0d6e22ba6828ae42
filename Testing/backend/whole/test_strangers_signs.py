"""What a person is told of a project from elsewhere: once, in words, and where it matters."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from judging import accept, correct, take_back
from small_projects import contents, drawn, write_drawing

from PseudoLabelCLLib.command_line.console import Console, without_escapes
from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.errors import ProjectDamagedError, ProjectError
from PseudoLabelCLLib.messages.requests import (
    GoBack,
    OpenProject,
    ReadHistory,
    SetRole,
    ShowCase,
    SignVerdicts,
)
from PseudoLabelCLLib.project_service.handle_request import handle
from PseudoLabelCLLib.project_service.project_session import ProjectSession
from PseudoLabelCLLib.project_service.view_project import view_of
from PseudoLabelCLLib.storage.files import own_seals
from PseudoLabelCLLib.storage.project import project_lock
from PseudoLabelCLLib.storage.project.own_reports import is_own_report, write_sealed_report
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import foreign_parts, load_project
from PseudoLabelCLLib.storage.project.provenance import Foreign, author, choose_author


@pytest.fixture
def at_another_computer(monkeypatch, tmp_path):
    def go(name):
        monkeypatch.setenv(own_seals.STATE_VARIABLE, str(tmp_path / f"state of {name}"))

    go("mine")
    return go


def opened(root):
    session = ProjectSession()
    try:
        return handle(session, OpenProject(str(root)), lambda *_: None).notices
    finally:
        session.close()


def accept_both(root):
    return accept(root, accept(root, load_project(root), "other-1"), "other-2")


def test_own_project_and_verdicts_are_not_told(a_project_in_review, at_another_computer):
    root = a_project_in_review
    accept_both(root)
    project = load_project(root)
    from PseudoLabelCLLib.storage.project.project_store import save_cases  # noqa: PLC0415

    save_cases(root, project)  # the template was made under another state folder
    assert foreign_parts(root, project).sentence == ""
    assert opened(root) == ()


def test_verdicts_from_elsewhere_are_told_at_the_first_opening(
    a_project_in_review, at_another_computer
):
    root = a_project_in_review
    accept_both(root)
    at_another_computer("a colleague's")
    [told] = opened(root)
    assert "project was made and 2 verdicts were given on another computer" in told
    assert "check them before you train" in told
    assert opened(root) == ()
    accept(root, load_project(root), "other-2")
    assert [found[0] for found in foreign_parts(root, load_project(root)).verdicts] == ["other-1"]


def test_what_comes_later_from_elsewhere_is_told_again(a_project_in_review, at_another_computer):
    root = a_project_in_review
    accept(root, load_project(root), "other-1")
    at_another_computer("a colleague's")
    assert len(opened(root)) == 1
    at_another_computer("mine")
    accept(root, load_project(root), "other-2")
    at_another_computer("a colleague's")
    assert "2 verdicts" in opened(root)[0]


def test_verdict_that_somebody_changed_counts_as_foreign(a_project_in_review, at_another_computer):
    root = a_project_in_review
    accept_both(root)
    path = root / "reviews" / "round_00" / "other-1.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "left_out": [1]}))
    assert foreign_parts(root, load_project(root)).verdicts == (("other-1", 0),)


def test_own_verdict_stays_own_in_the_history_and_back(
    a_project_in_review, at_another_computer, tmp_path
):
    root = a_project_in_review
    project = accept(root, load_project(root), "other-1")
    array = drawn(shift=1)
    array[2, 1, 1:5] = 1
    project = correct(root, project, "other-1", write_drawing(tmp_path / "x.seg.nrrd", array))
    take_back(root, project, "other-1")
    assert foreign_parts(root, load_project(root)).verdicts == ()


def test_verdicts_bear_the_chosen_name_and_no_other(a_project_in_review, at_another_computer):
    root = a_project_in_review
    accept(root, load_project(root), "other-1")
    assert load_project(root).reviews[0].author == ""
    assert main(["author", "  reader\n 2 "]) == 0
    assert author() == "reader 2"
    accept(root, load_project(root), "other-2")
    assert load_project(root).reviews[1].author == "reader 2"
    choose_author("")
    assert author() == ""


def test_names_on_verdicts_from_elsewhere_are_told_in_short_and_as_text(
    a_project_in_review, at_another_computer
):
    root = a_project_in_review
    choose_author("reader 2")
    accept(root, load_project(root), "other-1")
    at_another_computer("a stranger's")
    choose_author("A" * 200 + "\u202e\x1b[2J")
    assert author() == "A" * 100
    accept(root, load_project(root), "other-2")
    file = root / "reviews" / "round_00" / "other-2.json"
    content = json.loads(file.read_text("utf-8"))
    assert content["author"] == "A" * 100
    file.write_text(json.dumps({**content, "author": "\x1b[2J\u202e" + "B" * 200}), "utf-8")
    at_another_computer("a third one's")
    told = foreign_parts(root, load_project(root)).sentence
    assert f"(signed '[2J{'B' * 37}', 'reader 2'); check them before you train." in told


def test_many_names_on_verdicts_are_told_as_some():
    many = Foreign(False, (("a", 0),), tuple("abcd"))
    assert "(signed 'a', 'b', 'c', ...)" in many.sentence
    assert "signed" not in Foreign(False, (("a", 0),), ("", "\x07")).sentence


def test_the_service_takes_the_name_for_verdicts_and_shows_it(
    a_project_in_review, at_another_computer
):
    session = ProjectSession()
    try:
        view = handle(session, OpenProject(str(a_project_in_review)), lambda *_: None)
        assert view.author == ""
        view = handle(session, SignVerdicts(" reader 2 "), lambda *_: None)
        assert view.author == author() == "reader 2"
        assert handle(session, SignVerdicts(""), lambda *_: None).author == ""
    finally:
        session.close()


def test_nothing_in_a_project_names_computer_or_login(a_project_in_review, at_another_computer):
    import getpass  # noqa: PLC0415
    import socket  # noqa: PLC0415

    accept_both(a_project_in_review)
    own = {socket.gethostname(), getpass.getuser()} - {"root", "runner", ""}
    for path in a_project_in_review.rglob("*.json"):
        words = set(path.read_text().replace('"', " ").split())
        assert not own & words


def test_status_tells_what_was_made_elsewhere(a_project_in_review, at_another_computer, capsys):
    accept_both(a_project_in_review)
    at_another_computer("a colleague's")
    assert main(["status", str(a_project_in_review)]) == 0
    assert "2 verdicts were given on another computer" in capsys.readouterr().err
    assert main(["status", str(a_project_in_review), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["made_elsewhere"]
    assert told["project"] is True
    assert told["verdicts"][0] == {"case": "other-1", "round": 0}


def test_report_from_elsewhere_is_told_as_such(a_project_in_review, at_another_computer):
    root = a_project_in_review
    report = ProjectLayout(root).report(0)
    write_sealed_report(report, ("<p>round</p>", "<p>Ä 心</p>"))
    assert is_own_report(report)
    assert not view_of(root, load_project(root)).rounds[0].report_is_foreign
    page = report.read_text(encoding="utf-8")
    assert page.startswith("<p>round</p><p>Ä 心</p>")
    at_another_computer("a colleague's")
    assert view_of(root, load_project(root)).rounds[0].report_is_foreign
    at_another_computer("mine")
    report.write_text(page.replace("round", "rOund"), encoding="utf-8")
    assert view_of(root, load_project(root)).rounds[0].report_is_foreign
    report.write_text("<script>", encoding="utf-8")
    assert not is_own_report(report)


def read_only(monkeypatch):
    """Let no lock be opened and nothing be written, as on a read-only share."""
    real, access = os.open, os.access

    def refuse(path, flags, *rest, **how):
        if str(path).endswith(".lock") and flags & os.O_RDWR:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, flags, *rest, **how)

    monkeypatch.setattr(project_lock.os, "open", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))


def test_project_on_a_read_only_share_opens_for_looking(
    a_project_in_review, at_another_computer, monkeypatch
):
    root, nothing = a_project_in_review, lambda *_: None
    accept(root, load_project(root), "other-1")
    before = contents(root)
    read_only(monkeypatch)
    session = ProjectSession()
    view = handle(session, OpenProject(str(root)), nothing)
    assert "open read-only" in view.notices[0]
    assert handle(session, ReadHistory(), nothing)
    files = handle(session, ShowCase("other-2", None, with_image=True), nothing)
    assert files.proposal is not None
    assert Path(files.image).is_file()
    assert root not in Path(files.image).parents
    for request in (SetRole(("other-1",), CaseRole.IGNORED), GoBack(-1)):
        with pytest.raises(ProjectError, match="open read-only") as caught:
            handle(session, request, nothing)
        assert "copy the project" in caught.value.remedy
    session.close()
    assert contents(root) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another user")
def test_another_user_looks_at_a_project_that_is_not_theirs(a_project_in_review, tmp_path):
    place = Path("/var/tmp") / f"looking-{os.getpid()}"
    shutil.copytree(tmp_path, place)
    try:
        subprocess.run(["chmod", "-R", "a+rX,go-w", str(place)], check=True)
        program = (
            "import os, pathlib, sys\n"
            "from PseudoLabelCLLib.project_service.project_session import *\n"
            "root = pathlib.Path(sys.argv[1]); view_of(root, load_project(root))\n"  # imports
            "os.setgid(65534); os.setuid(65534)\n"
            "session = ProjectSession(); session.open(root)\n"
            "print(session.notices[0]); print(len(session.view().cases))"
        )
        told = subprocess.run(
            [sys.executable, "-c", program, str(place / a_project_in_review.name)],
            capture_output=True, text=True, cwd=Path(__file__).parents[3], timeout=60, check=False,
            env={**os.environ, own_seals.STATE_VARIABLE: str(place / "none")},
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        assert "open read-only" in told.stdout
        assert told.stdout.split()[-1] == "3"
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize(
    "name", ["\x1b]0;gone\x07", "a\x1b[2Jb", "\x9b31m", "one\rtwo", "\u202egnp.exe", "bell\x07"]
)
def test_escapes_in_names_are_printed_as_text(name, capsys):
    console = Console()
    console.say(name)
    console.warn(name)
    console.error("Error", name, name)
    console.table(["case"], [[name]])
    console.progress(name, 1, 2, None)
    printed = "".join(capsys.readouterr())
    assert not set(printed) & set("\x1b\x07\x9b\r\u202e")
    assert "\\x" in printed
    assert without_escapes("Herz 心, ok") == "Herz 心, ok"


@pytest.mark.parametrize("version", ["2", 2.0, True, None, [2], {"a": 1}, 0, -1])
def test_version_of_the_wrong_type_is_refused(a_project_in_review, version):
    path = a_project_in_review / "project.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": version}))
    with pytest.raises(ProjectDamagedError, match="schema_version"):
        load_project(a_project_in_review)


@pytest.mark.parametrize("version", ["1", 1.5, True, None, [1]])
def test_version_of_the_wrong_type_in_a_doubt_is_refused(a_project_in_review, version):
    path = ProjectLayout(a_project_in_review).doubt(0, "other-1")
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": version}))
    with pytest.raises(ProjectDamagedError, match="schema_version"):
        view_of(a_project_in_review, load_project(a_project_in_review))


def test_live_temporary_file_stays_however_old_it_is(tmp_path):
    from PseudoLabelCLLib.storage.files import atomic_files  # noqa: PLC0415

    live = tmp_path / atomic_files._temporary_name(tmp_path / "x.json")
    gone = tmp_path / f".writing-{atomic_files._machine()}-999999999-1.json"
    for file in (live, gone):
        file.write_text("half")
        os.utime(file, (0, 0))
    atomic_files.remove_leftovers(tmp_path)
    assert live.exists()
    assert not gone.exists()
