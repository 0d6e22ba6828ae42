"""Images on servers that a foreign project names: on Windows, looking there means logging in."""

import json
from types import SimpleNamespace

import pytest
from small_projects import add_case

from PseudoLabelCLLib.curation.cases.add_cases import case_to_annotate
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.export import dicom_series_of_case
from PseudoLabelCLLib.curation.export.dicom_series_of_case import is_from_dicom, series_of_case
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.errors import UnknownServerError, VolumeError
from PseudoLabelCLLib.messages.requests import OpenProject, ShowCase
from PseudoLabelCLLib.project_service.handle_request import handle
from PseudoLabelCLLib.project_service.image_availability import ImageAvailability
from PseudoLabelCLLib.project_service.project_session import ProjectSession
from PseudoLabelCLLib.project_service.view_project import ViewMemory, view_of
from PseudoLabelCLLib.storage.files import network_paths, own_seals
from PseudoLabelCLLib.storage.files.network_paths import choose_server, server_of
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project

SHARES = (
    "\\\\stranger\\scans\\a.nrrd",
    "//stranger/scans/a.nrrd",
    "\\/Stranger/scans",
    "\\\\?\\UNC\\stranger\\scans\\a.nrrd",
    "//./unc/STRANGER/scans",
    "///stranger/scans",
)


@pytest.fixture
def on_windows(monkeypatch, tmp_path):
    """Paths mean what they mean on Windows; nobody has chosen a server."""
    monkeypatch.setattr(network_paths, "HAS_SHARES", True)
    monkeypatch.setattr(network_paths, "_chosen_here", set())
    monkeypatch.setenv(own_seals.STATE_VARIABLE, str(tmp_path / "own state"))


@pytest.fixture
def a_strangers_project(a_project_in_review):
    """The image of "other-1" is said to lie on a server; returns the project's folder."""
    file = a_project_in_review / "project.json"
    content = json.loads(file.read_text("utf-8"))
    next(one for one in content["cases"] if one["id"] == "other-1")["image"] = SHARES[0]
    file.write_text(json.dumps(content), "utf-8")
    return a_project_in_review


@pytest.mark.parametrize("text", SHARES)
def test_a_path_of_a_share_names_its_server(text):
    assert server_of(text) == "stranger"


@pytest.mark.parametrize(
    "text",
    ["../a.nrrd", "a\\b.nrrd", "C:\\scans\\a.nrrd", "\\scans", "\\\\?\\D:\\a.nrrd", "", "\\"],
)
def test_other_paths_name_no_server(text):
    assert server_of(text) == ""


def test_a_device_counts_as_a_server_that_nobody_chose():
    assert server_of("\\\\.\\pipe\\a") == ".\\pipe"


@pytest.mark.parametrize("text", SHARES)
@pytest.mark.usefixtures("on_windows")
def test_an_image_on_a_strangers_server_is_refused_in_words(a_project, text):
    with pytest.raises(UnknownServerError, match=r"'stranger'.* log in there with your user name"):
        ProjectLayout(a_project).resolve(text)


@pytest.mark.usefixtures("on_windows")
def test_its_server_is_not_asked_when_the_project_is_opened_and_a_person_is_told(
    a_strangers_project,
):
    asked = []
    memory = ViewMemory(images=ImageAvailability(lambda path: asked.append(path) or True))
    view = view_of(a_strangers_project, load_project(a_strangers_project), memory)
    assert {path.name for path in asked} == {"heart.nrrd", "other-2.nrrd"}
    assert [case.id for case in view.cases if case.image_is_missing] == ["other-1"]
    session = ProjectSession()
    try:
        opened = handle(session, OpenProject(str(a_strangers_project)), lambda *_: None)
        assert any("the server 'stranger'" in notice for notice in opened.notices)
        with pytest.raises(UnknownServerError):
            handle(session, ShowCase("other-1", 0, with_image=True), lambda *_: None)
    finally:
        session.close()


@pytest.mark.usefixtures("on_windows")
def test_a_check_goes_on_with_the_other_cases(a_strangers_project):
    project = load_project(a_strangers_project)
    findings = tuple(check_cases(a_strangers_project, project))
    assert [one.case_id for one in findings if one.severity == "error"] == ["other-1"]
    case = project.case("other-1")
    assert not is_from_dicom(a_strangers_project, case)


@pytest.mark.usefixtures("on_windows")
def test_a_folder_of_dicom_slices_that_a_strangers_record_names_is_refused(a_project, monkeypatch):
    instances = SimpleNamespace(series_uid="1.2")
    record = SimpleNamespace(folder=SHARES[1], instances=instances, part="")
    monkeypatch.setattr(dicom_series_of_case, "_remembered", lambda *_: record)
    with pytest.raises(UnknownServerError):
        series_of_case(a_project, load_project(a_project).case("heart"))


@pytest.mark.usefixtures("on_windows")
def test_a_server_that_a_person_chose_is_used_from_then_on(a_project):
    layout = ProjectLayout(a_project)
    choose_server("\\\\Hospital\\scans\\b.nrrd")
    assert layout.resolve("//hospital/other/a.nrrd")
    network_paths._chosen_here.clear()  # as in another process
    assert layout.resolve("//hospital/other/a.nrrd")
    with pytest.raises(UnknownServerError):
        layout.resolve("//hospital.stranger/a.nrrd")


@pytest.mark.usefixtures("on_windows")
def test_a_choice_counts_in_this_process_where_nothing_can_be_kept(a_project, monkeypatch):
    monkeypatch.setenv(own_seals.STATE_VARIABLE, str(a_project / "project.json" / "none"))
    choose_server("//hospital/scans")
    assert ProjectLayout(a_project).resolve("//hospital/scans/a.nrrd")


@pytest.mark.usefixtures("on_windows")
def test_adding_a_volume_chooses_its_server(a_project, monkeypatch):
    def relative(_layout, path):
        return f"//hospital/scans/{path.name}"

    image = a_project.parent / "data" / "other-1.nrrd"
    with monkeypatch.context() as patch:
        patch.setattr(ProjectLayout, "relative", relative)
        assert case_to_annotate(a_project, load_project(a_project), "new", image) is None
    assert ProjectLayout(a_project).resolve("//hospital/scans/a.nrrd")
    with monkeypatch.context() as patch:
        patch.setattr(ProjectLayout, "relative", lambda _, path: f"//clinic/scans/{path.name}")
        with pytest.raises(VolumeError):
            add_case(
                a_project, load_project(a_project), "new", CaseRole.UNLABELLED,
                image.with_name("none.nrrd"),
            )  # fmt: skip
    assert ProjectLayout(a_project).resolve("//clinic/scans/a.nrrd")


@pytest.mark.usefixtures("on_windows")
def test_the_server_on_which_the_project_lies_was_chosen_with_it(a_project, monkeypatch):
    monkeypatch.setattr(network_paths, "server_of", lambda text: "hospital" if text else "")
    assert ProjectLayout(a_project).resolve("//hospital/scans/a.nrrd")


def test_where_there_are_no_shares_such_a_path_is_a_file_name(a_project, monkeypatch):
    monkeypatch.setattr(network_paths, "HAS_SHARES", False)
    assert ProjectLayout(a_project).resolve(SHARES[0]).name.endswith("a.nrrd")
