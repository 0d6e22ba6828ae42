"""A project comes back from its folder as it was, or a sentence says why not."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import (
    ProjectDamagedError,
    ProjectError,
    ProjectNewerError,
    StorageError,
)
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Review, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout, round_index
from PseudoLabelCLLib.storage.project.project_store import (
    SCHEMA_VERSION,
    create_project,
    load_project,
    save_cases,
    save_review,
    save_round,
)


@pytest.fixture
def a_schema():
    category = Code("SCT", "123037004", "Anatomical Structure")
    heart = Terminology(category, Code("SCT", "87878005", "Left ventricle"))
    return LabelSchema((LabelClass(3, "LV", "#ff0000", heart), LabelClass(1, "RV é", "#00ff00")))


@pytest.fixture
def a_project(a_schema):
    grid = Geometry((4, 5, 6), (0.7, 0.7, 3.1), (1e-3, -7.0, 1 / 3), (0, 1, 0, 1, 0, 0, 0, 0, 1))
    cases = (
        Case("Müller 1", CaseRole.ANNOTATED, "../a b/ä.nii.gz", grid, "annotations/1.seg.nrrd"),
        Case("two", CaseRole.UNLABELLED, "../two", grid, dicom_series_uid="1.2.3"),
    )
    return Project("Heart Ω test", a_schema, config_for(Profile.QUICK), cases)


@pytest.fixture
def a_folder(tmp_path):
    return tmp_path / "my project é"


@pytest.fixture
def a_saved_project(a_folder, a_project):
    create_project(a_folder, a_project)
    return a_folder


def contents_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("profile", list(Profile))
def test_project_comes_back_as_it_was(a_folder, a_project, profile):
    project = dataclasses.replace(a_project, config=config_for(profile))
    create_project(a_folder, project)
    assert load_project(a_folder) == project


def test_rounds_and_reviews_come_back(a_saved_project, a_project):
    first = Round(0, RoundState.CLOSED, "abc", 1, 0, 0, "2026-01-01T00:00:00+00:00")
    second = Round(1, RoundState.IN_REVIEW)
    corrected = Review("two", 0, Verdict.CORRECTED, "reviews/round_00/two.seg.nrrd", (2, 3))
    rejected = Review("two", 1, Verdict.REJECTED, None)
    for round_ in (first, second):
        save_round(a_saved_project, round_)
    for review in (rejected, corrected):
        save_review(a_saved_project, review)
    expected = a_project.with_round(first).with_round(second)
    expected = expected.with_review(corrected).with_review(rejected)
    assert load_project(a_saved_project) == expected


def test_new_project_with_rounds_keeps_them(a_folder, a_project):
    project = a_project.with_round(Round(0, RoundState.IN_REVIEW))
    project = project.with_review(Review("two", 0, Verdict.REJECTED, None))
    create_project(a_folder, project)
    assert load_project(a_folder) == project


def test_later_verdict_replaces_the_earlier_one(a_saved_project):
    save_round(a_saved_project, Round(0, RoundState.IN_REVIEW))
    save_review(a_saved_project, Review("two", 0, Verdict.REJECTED, None))
    accepted = Review("two", 0, Verdict.ACCEPTED, "reviews/round_00/two.seg.nrrd")
    save_review(a_saved_project, accepted)
    assert [r.verdict for r in load_project(a_saved_project).reviews] == [Verdict.ACCEPTED]


def test_saving_cases_touches_project_json_alone(a_saved_project, a_project):
    save_round(a_saved_project, Round(0, RoundState.TRAINING))
    before = contents_of(a_saved_project)
    stale = dataclasses.replace(a_project, name="new name")  # knows of no round
    save_cases(a_saved_project, stale)
    after = contents_of(a_saved_project)
    assert {p for p in after if after[p] != before.get(p)} == {Path("project.json")}
    assert len(load_project(a_saved_project).rounds) == 1


def test_every_file_carries_the_schema_version(a_saved_project):
    save_round(a_saved_project, Round(0, RoundState.TRAINING))
    save_review(a_saved_project, Review("two", 0, Verdict.REJECTED, None))
    files = list(a_saved_project.rglob("*.json"))
    assert len(files) == 3
    for file in files:
        assert json.loads(file.read_text(encoding="utf-8"))["schema_version"] == SCHEMA_VERSION


def test_existing_project_is_not_overwritten(a_saved_project, a_project):
    before = contents_of(a_saved_project)
    with pytest.raises(ProjectError, match="already"):
        create_project(a_saved_project, dataclasses.replace(a_project, name="other"))
    assert contents_of(a_saved_project) == before


def test_folder_with_other_files_does_not_become_a_project(a_folder, a_project):
    a_folder.mkdir()
    (a_folder / "thesis.docx").write_text("x")
    with pytest.raises(ProjectError, match=r"thesis\.docx"):
        create_project(a_folder, a_project)
    assert len(contents_of(a_folder)) == 1


@pytest.mark.parametrize("harmless", ["desk.lock", ".DS_Store", ".writing-00000000-1-0.json"])
def test_folder_with_harmless_traces_becomes_a_project(a_folder, a_project, harmless):
    a_folder.mkdir()
    (a_folder / harmless).write_text("x")
    create_project(a_folder, a_project)
    assert load_project(a_folder) == a_project


def test_file_is_no_project_folder(tmp_path, a_project):
    path = tmp_path / "file"
    path.write_text("x")
    for call in (lambda: create_project(path, a_project), lambda: load_project(path)):
        with pytest.raises(ProjectError, match="is a file"):
            call()


def test_missing_project_is_told(tmp_path, a_project):
    with pytest.raises(ProjectError, match="was not found"):
        load_project(tmp_path / "none")
    with pytest.raises(ProjectError, match="is not a project folder"):
        load_project(tmp_path)
    with pytest.raises(ProjectError, match="is not a project folder"):
        save_cases(tmp_path, a_project)


def _with_spacing(number):
    """Put another number in the place of the first distance of voxels."""
    return lambda text: re.sub(r'("spacing_mm": \[\s*)[^,]+', rf"\g<1>{number}", text, count=1)


def _with_version(version):
    def change(text):
        return json.dumps({**json.loads(text), "schema_version": version})

    return change


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (_with_version(SCHEMA_VERSION + 1), ProjectNewerError, "newer version"),
        (_with_version(0), ProjectDamagedError, "schema_version"),
        (_with_version("1"), ProjectDamagedError, "schema_version"),
        (_with_version(True), ProjectDamagedError, "schema_version"),
        (lambda text: "", ProjectDamagedError, "line 1"),
        (lambda text: text[: len(text) // 2], ProjectDamagedError, "line"),
        (lambda text: "[1]", ProjectDamagedError, "object"),
        (lambda text: text.replace('"name"', '"nom"', 1), ProjectDamagedError, "nom"),
        (lambda text: text.replace("annotated", "drawn"), ProjectDamagedError, r"cases\[0\], role"),
        (lambda text: text.replace('"two"', '"MÜLLER 1"'), ProjectDamagedError, "Two cases"),
        (_with_spacing("NaN"), ProjectDamagedError, "NaN"),
        (_with_spacing("-0.7"), ProjectDamagedError, "impossible geometry"),
    ],
)
def test_project_file_that_cannot_be_used_is_told_and_left_alone(
    a_saved_project, change, error, words
):
    file = a_saved_project / "project.json"
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    before = contents_of(a_saved_project)
    with pytest.raises(error, match=words) as caught:
        load_project(a_saved_project)
    assert caught.value.remedy
    assert contents_of(a_saved_project) == before


def test_newer_round_or_review_is_told(a_saved_project):
    save_round(a_saved_project, Round(0, RoundState.IN_REVIEW))
    file = ProjectLayout(a_saved_project).round_file(0)
    file.write_text(
        file.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 9')
    )
    with pytest.raises(ProjectNewerError, match=r"rounds/round_00/round\.json.*schema 9"):
        load_project(a_saved_project)


def test_missing_round_in_the_middle_is_told(a_saved_project):
    save_round(a_saved_project, Round(1, RoundState.TRAINING))
    with pytest.raises(ProjectDamagedError, match="out of order"):
        load_project(a_saved_project)


def test_misplaced_files_are_told(a_saved_project):
    layout = ProjectLayout(a_saved_project)
    save_round(a_saved_project, Round(0, RoundState.IN_REVIEW))
    save_review(a_saved_project, Review("two", 0, Verdict.REJECTED, None))
    layout.review(0, "two").rename(layout.review(0, "Müller 1"))
    with pytest.raises(ProjectDamagedError, match="does not belong there"):
        load_project(a_saved_project)


def test_half_written_and_foreign_files_do_not_disturb(a_saved_project, a_project):
    layout = ProjectLayout(a_saved_project)
    layout.round_folder(0).mkdir(parents=True)  # killed before round.json
    (layout.rounds / "notes").mkdir()
    layout.review_folder(0).mkdir(parents=True)
    (layout.review_folder(0) / ".writing-00000000-1-0.json").write_text("{")
    (layout.review_folder(0) / "._two.json").write_bytes(b"\x00\x05")
    (layout.review_folder(0) / "two.seg.nrrd").write_text("killed before the verdict")
    assert load_project(a_saved_project) == a_project


def test_file_in_place_of_a_project_folder_is_told(a_saved_project):
    (a_saved_project / "rounds").write_text("x")
    with pytest.raises(ProjectDamagedError, match="is a file"):
        load_project(a_saved_project)


def test_folder_in_place_of_a_round_file_is_told(a_saved_project):
    ProjectLayout(a_saved_project).round_file(0).mkdir(parents=True)
    with pytest.raises(StorageError, match="folder"):
        load_project(a_saved_project)


def test_stored_paths_mean_the_same_files_wherever_the_project_moves(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name / "data ä").mkdir(parents=True)
        (tmp_path / name / "data ä" / "x.nii").write_text(name)
        (tmp_path / name / "project").mkdir()
    here, there = (ProjectLayout(tmp_path / name / "project") for name in ("here", "there"))
    text = here.relative(tmp_path / "here" / "data ä" / "x.nii")
    assert text == "../data ä/x.nii"
    assert here.resolve(text).read_text() == "here"
    assert there.resolve(text).read_text() == "there"


def test_relative_path_inside_the_project_has_forward_slashes(tmp_path):
    layout = ProjectLayout(tmp_path)
    assert layout.relative(layout.annotation("a")) == "annotations/a.seg.nrrd"
    assert layout.resolve("annotations/a.seg.nrrd") == layout.annotation("a").resolve()


def test_project_reached_through_a_link_finds_its_images(tmp_path):
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "x.nii").write_text("x")
    link = tmp_path / "link"
    try:
        link.symlink_to(tmp_path / "disk" / "deep", target_is_directory=True)
    except OSError:
        pytest.skip("needs symbolic links")
    layout = ProjectLayout(link)
    assert layout.resolve(layout.relative(tmp_path / "x.nii")).read_text() == "x"


def test_absolute_paths_stay(tmp_path):
    path = tmp_path / "elsewhere" / "x.nii"
    assert ProjectLayout(tmp_path / "project").resolve(path.as_posix()) == path


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("round_00", 0),
        ("round_07", 7),
        ("round_123", 123),
        ("round_1", None),
        ("round_00 copy", None),
    ],
)
def test_round_folders_are_recognised_by_their_name(name, index):
    assert round_index(name) == index
