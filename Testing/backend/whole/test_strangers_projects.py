"""A project from a stranger reaches nothing outside its folder: by links, by dots, by names."""

import json
import shutil
import subprocess
import sys

import pytest
from judging import accept, correct, take_back
from small_projects import contents, drawn, write_drawing

from PseudoLabelCLLib.curation.cases.add_cases import annotate_case
from PseudoLabelCLLib.curation.cases.new_project import made_aside
from PseudoLabelCLLib.curation.review import display_files
from PseudoLabelCLLib.curation.review.display_files import write_case_files
from PseudoLabelCLLib.domain.errors import (
    ProjectDamagedError,
    ProjectError,
    ProjectInUseError,
    PseudoLabelCLError,
)
from PseudoLabelCLLib.pipeline.slices.case_slices import ClassCache
from PseudoLabelCLLib.storage.files.atomic_files import remove_leftovers, write_text
from PseudoLabelCLLib.storage.files.links import is_link
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import load_project

FOLDERS = ("annotations", "rounds", "reviews", "view", "preprocessed", "jobs", "set_aside", "dicom")


@pytest.fixture
def outside(tmp_path):
    """A folder of somebody's, with things that must stay as they are."""
    folder = tmp_path / "somebody's"
    for name in ("a", "b", "c", "d", "e"):
        (folder / name).mkdir(parents=True)
        (folder / name / "letter.txt").write_text(name)
    (folder / "note.txt").write_text("not yours")
    return folder


def link(place, target):
    """Put a link in the place of whatever lies there."""
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    try:
        place.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("this user may make no links here")


def corrected(tmp_path):
    array = drawn(shift=1)
    array[2, 1, 1:5] = 1
    return write_drawing(tmp_path / "mine.seg.nrrd", array)


def edit_json(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_showing_a_case_deletes_nothing_behind_a_linked_view_folder(a_project_in_review, outside):
    before = contents(outside)
    link(a_project_in_review / "view", outside)
    project = load_project(a_project_in_review)
    with pytest.raises(ProjectDamagedError, match=r"'view'.*is a link"):
        write_case_files(a_project_in_review, project, "other-1", None, with_image=True)
    assert contents(outside) == before


def test_a_linked_folder_of_one_case_in_the_view_is_refused_too(a_project_in_review, outside):
    before = contents(outside)
    (a_project_in_review / "view").mkdir()
    link(a_project_in_review / "view" / "other-1", outside)
    project = load_project(a_project_in_review)
    with pytest.raises(ProjectDamagedError, match="view/other-1"):
        write_case_files(a_project_in_review, project, "other-1", None, with_image=True)
    assert contents(outside) == before


def test_only_views_of_known_cases_are_removed(a_project_in_review, monkeypatch):
    monkeypatch.setattr(display_files, "MAX_KEPT_CASES", 1)
    project, view = load_project(a_project_in_review), a_project_in_review / "view"
    for name in ("holiday pictures", "letters"):
        (view / name).mkdir(parents=True)
        (view / name / "one.txt").write_text(name)
    for case_id in ("other-1", "other-2", "heart"):
        write_case_files(a_project_in_review, project, case_id, None, with_image=False)
    assert sorted(entry.name for entry in view.iterdir()) == [
        "heart",
        "holiday pictures",
        "letters",
    ]


@pytest.mark.parametrize("name", ["desk.lock", "worker.lock", "review.lock"])
def test_lock_that_is_a_link_is_refused_and_its_target_stays(a_project, outside, name):
    link(a_project / name, outside / "note.txt")
    with pytest.raises(ProjectError, match="link"), project_lock(a_project / name, "the test"):
        pass
    assert (outside / "note.txt").read_text() == "not yours"


def test_lock_with_something_else_in_it_is_not_emptied(a_project):
    lock = a_project / "desk.lock"
    lock.write_text("the only copy of a letter")
    with project_lock(lock, "the test"):
        assert lock.read_text() == "the only copy of a letter"
        with pytest.raises(ProjectInUseError, match="another process"), project_lock(lock, "two"):
            pass
    assert lock.read_text() == "the only copy of a letter"


def test_folder_named_as_the_lock_is_told_as_such(a_project):
    (a_project / "worker.lock").mkdir()
    with (
        pytest.raises(
            ProjectError, match=r"'worker.lock'.*is a folder; expected the lock"
        ) as caught,
        project_lock(a_project / "worker.lock", "the test"),
    ):
        pass
    assert "Move it out of the project" in caught.value.remedy


def test_pipe_named_as_the_lock_is_told_at_once(a_project, make_pipe):
    pipe = make_pipe(a_project / "desk.lock")
    with pytest.raises(ProjectError, match="pipe or a device"), project_lock(pipe, "the test"):
        pass


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_linked_folder_of_a_project_is_refused(a_project_in_review, outside, folder):
    link(a_project_in_review / folder, outside)
    layout = ProjectLayout(a_project_in_review)
    given = {
        "annotations": lambda: layout.annotation("heart"),
        "rounds": lambda: layout.proposal(0, "other-1"),
        "reviews": lambda: layout.review(0, "other-1"),
        "view": lambda: layout.shown_case("other-1"),
        "preprocessed": lambda: layout.preprocessed("heart"),
        "jobs": lambda: layout.job_folder("one"),
        "set_aside": lambda: layout.set_aside,
        "dicom": lambda: layout.dicom_series("heart"),
    }
    with pytest.raises(ProjectDamagedError, match="is a link"):
        given[folder]()


def test_project_reached_over_a_link_is_the_project(a_project, tmp_path):
    link(tmp_path / "shortcut", a_project)
    assert load_project(tmp_path / "shortcut") == load_project(a_project)


def test_verdict_is_not_written_through_a_linked_reviews_folder(a_project_in_review, outside):
    before, project = contents(outside), load_project(a_project_in_review)
    link(a_project_in_review / "reviews", outside)
    with pytest.raises(ProjectDamagedError, match=r"'reviews'.*is a link"):
        accept(a_project_in_review, project, "other-1")
    assert contents(outside) == before


def test_verdict_is_not_kept_in_a_linked_history(a_project_in_review, outside, tmp_path):
    root = a_project_in_review
    project = accept(root, load_project(root), "other-1")
    before = contents(outside)
    link(root / "reviews" / "round_00" / "history", outside)
    with pytest.raises(ProjectDamagedError, match=r"history.*is a link"):
        correct(root, project, "other-1", corrected(tmp_path))
    assert contents(outside) == before


@pytest.mark.parametrize("field", ["segmentation", "truth_mask"])
@pytest.mark.parametrize(
    "path", ["../note.seg.nrrd", "reviews/round_00/../../../note.seg.nrrd", "/etc/note.seg.nrrd"]
)
def test_verdict_that_names_a_file_outside_is_refused(a_project_in_review, tmp_path, field, path):
    root = a_project_in_review
    correct(root, load_project(root), "other-1", corrected(tmp_path))
    edit_json(root / "reviews" / "round_00" / "other-1.json", **{field: path})
    before = contents(root)
    with pytest.raises(ProjectDamagedError, match="not a file of this verdict"):
        load_project(root)
    assert contents(root) == before


def test_verdict_that_names_the_file_of_another_case_is_refused(a_project_in_review):
    root = a_project_in_review
    accept(root, accept(root, load_project(root), "other-1"), "other-2")
    other = "reviews/round_00/other-2.seg.nrrd"
    edit_json(root / "reviews" / "round_00" / "other-1.json", segmentation=other)
    with pytest.raises(ProjectDamagedError, match="not a file of this verdict"):
        load_project(root)


def test_annotation_outside_the_project_is_refused(a_project):
    value = json.loads((a_project / "project.json").read_text())
    value["cases"][0]["annotation"] = "../data/heart.seg.nrrd"
    (a_project / "project.json").write_text(json.dumps(value))
    with pytest.raises(ProjectDamagedError, match="lies outside"):
        load_project(a_project)


@pytest.mark.parametrize("case_id", ["../../../evil", "..", "a/b", "con", "other-2"])
def test_verdict_in_the_history_must_be_the_cases_own(a_project_in_review, tmp_path, case_id):
    root = a_project_in_review
    project = accept(root, load_project(root), "other-1")
    project = correct(root, project, "other-1", corrected(tmp_path))
    edit_json(root / "reviews" / "round_00" / "history" / "other-1.1.json", case_id=case_id)
    before = contents(tmp_path)
    with pytest.raises(ProjectDamagedError):
        take_back(root, project, "other-1")
    assert contents(tmp_path) == before


def test_verdict_in_the_history_must_be_of_its_round(a_project_in_review, tmp_path):
    root = a_project_in_review
    project = accept(root, load_project(root), "other-1")
    project = correct(root, project, "other-1", corrected(tmp_path))
    edit_json(root / "reviews" / "round_00" / "history" / "other-1.1.json", round_index=7)
    with pytest.raises(ProjectDamagedError, match="does not belong there"):
        take_back(root, project, "other-1")


def test_verdict_in_the_history_names_no_file_outside(a_project_in_review, tmp_path, outside):
    root = a_project_in_review
    project = accept(root, load_project(root), "other-1")
    project = correct(root, project, "other-1", corrected(tmp_path))
    write_drawing(outside / "secret.seg.nrrd")
    kept = root / "reviews" / "round_00" / "history" / "other-1.1.json"
    edit_json(kept, segmentation="../somebody's/secret.seg.nrrd")
    with pytest.raises(ProjectDamagedError, match="not a file of this verdict"):
        take_back(root, project, "other-1")


@pytest.mark.parametrize("case_id", ["../evil", "a\x00b", "CON", ""])
def test_case_ids_in_verdicts_are_checked_as_those_that_are_typed(a_project_in_review, case_id):
    root = a_project_in_review
    accept(root, load_project(root), "other-1")
    edit_json(root / "reviews" / "round_00" / "other-1.json", case_id=case_id)
    with pytest.raises(ProjectDamagedError, match="case name"):
        load_project(root)


def test_annotation_is_not_written_through_a_linked_folder(a_project, outside, tmp_path):
    project, before = load_project(a_project), contents(outside)
    link(a_project / "annotations", outside)
    with pytest.raises(ProjectDamagedError, match="is a link"):
        annotate_case(a_project, project, "other-1", write_drawing(tmp_path / "x.seg.nrrd"))
    assert contents(outside) == before


def test_cleaning_up_follows_no_link(a_project, outside):
    leftover = outside / ".writing-00000000-1-1.json"
    leftover.write_text("somebody's")
    link(a_project / "jobs", outside)
    remove_leftovers(a_project)
    assert leftover.exists()


def test_slices_behind_a_linked_folder_are_not_deleted(a_project, outside):
    (outside / "classes-0.npy").write_text("somebody's")
    (a_project / "preprocessed").mkdir()
    link(a_project / "preprocessed" / "case", outside)
    with pytest.raises(ProjectDamagedError, match="is a link"):
        ClassCache(a_project, load_project(a_project).schema).remove_others()
    assert (outside / "classes-0.npy").exists()


def test_temporary_file_that_is_a_link_is_not_written_through(tmp_path, outside, monkeypatch):
    from PseudoLabelCLLib.storage.files import atomic_files  # noqa: PLC0415

    monkeypatch.setattr(atomic_files, "_temporary_name", lambda path: ".writing-guessed")
    link(tmp_path / ".writing-guessed", outside / "note.txt")
    write_text(tmp_path / "new.txt", "mine")
    assert (outside / "note.txt").read_text() == "not yours"
    assert (tmp_path / "new.txt").read_text() == "mine"
    assert not is_link(tmp_path / "new.txt")


def test_new_project_empties_nothing_behind_a_link(tmp_path, outside):
    before = contents(outside)
    link(tmp_path / ".creating-hearts", outside)
    with pytest.raises(PseudoLabelCLError, match="is a link"), made_aside(tmp_path / "hearts"):
        pass
    assert contents(outside) == before


@pytest.mark.skipif(sys.platform != "win32", reason="junctions are a thing of Windows")
def test_junctions_are_links(a_project, outside):
    command = ["cmd", "/c", "mklink", "/J", str(a_project / "view"), str(outside)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ProjectDamagedError, match="is a link"):
        ProjectLayout(a_project).shown_case("other-1")
