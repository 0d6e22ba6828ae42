"""Segmentations going out: which, put together how, and never over something else."""

import json
import shutil

import nibabel
import numpy as np
import pytest
from judging import accept, correct, reject
from small_projects import with_saved_rounds

from PseudoLabelCLLib.curation.export.export_segmentations import export_segmentations
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError, StorageError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((10, 9, 4), (1.5, 1.5, 8.0), (5.0, -7.0, 30.0), IDENTITY)
SCHEMA = LabelSchema.from_values((1, 2))


def square(*slices, column=2):
    array = np.zeros(GRID.array_shape, np.int16)
    array[list(slices), 2:6, column : column + 4] = 1
    return array


def put(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_segmentation(path, LabelVolume(array, GRID), SCHEMA)
    return path


def read(path):
    return read_segmentation(path, SCHEMA)[0].array


@pytest.fixture(scope="module")
def a_project_on_disk(tmp_path_factory):
    cases = [Case(name, CaseRole.UNLABELLED, f"../{name}.nii", GRID) for name in "abcd"]
    cases.append(Case("t", CaseRole.ANNOTATED, "../t.nii", GRID, "annotations/t.seg.nrrd"))
    cases.append(Case("v", CaseRole.VALIDATION, "../v.nii", GRID, "annotations/v.seg.nrrd"))
    rounds = (Round(0, RoundState.IN_REVIEW),)
    project = Project("p", SCHEMA, config_for(Profile.QUICK), tuple(cases), rounds)
    root = tmp_path_factory.mktemp("made") / "project"
    create_project(root, project)
    layout = ProjectLayout(root)
    for name in "abcd":
        put(layout.proposal(0, name), square(1, 2))
    for name in "tv":
        put(layout.annotation(name), square(0, 1, 2))
    corrected = put(root.parent / "drawn.seg.nrrd", square(1, 2, 3))
    project = reject(root, accept(root, project, "a"), "c")
    return root, correct(root, project, "b", corrected)


@pytest.fixture
def a_project(a_project_on_disk, tmp_path):
    """Round 0 reviewed: a accepted, b corrected in slice 3, c rejected, d untouched."""
    made, project = a_project_on_disk
    return shutil.copytree(made, tmp_path / "project"), project


def test_only_what_a_person_confirmed_goes_out(a_project, tmp_path):
    exported = export_segmentations(*a_project, tmp_path / "out")

    assert {item.path.name: item.source for item in exported} == {
        "t.seg.nrrd": "annotated",
        "v.seg.nrrd": "annotated",
        "a.seg.nrrd": "accepted",
        "b.partly-reviewed.seg.nrrd": "corrected",
    }
    assert np.array_equal(read(tmp_path / "out" / "a.seg.nrrd"), square(1, 2))


def test_unreviewed_proposals_go_out_on_demand_and_are_named_so(a_project, tmp_path):
    exported = export_segmentations(*a_project, tmp_path / "out", include_unreviewed=True)

    unreviewed = [item for item in exported if item.human_fraction == 0]
    assert [item.path.name for item in unreviewed] == ["d.unreviewed.seg.nrrd"]
    assert unreviewed[0].source == "proposal, unreviewed"


def test_rejected_proposal_never_goes_out(a_project, tmp_path):
    exported = export_segmentations(*a_project, tmp_path / "out", include_unreviewed=True)

    assert "c" not in [item.case_id for item in exported]


def test_corrected_slices_lie_over_the_newest_proposal(a_project, tmp_path):
    root, project = a_project
    rounds = Round(0, RoundState.CLOSED), Round(1, RoundState.IN_REVIEW)
    project = with_saved_rounds(root, project, *rounds)
    put(ProjectLayout(root).proposal(1, "b"), square(0, 1, column=4))

    (item,) = export_segmentations(root, project, tmp_path / "out", case_ids=["b"])

    expected = square(0, 1, column=4)
    expected[3] = square(3)[3]
    assert np.array_equal(read(item.path), expected)
    assert (item.round_index, item.human_fraction) == (1, 0.25)


def test_newer_correction_wins_on_a_slice(a_project, tmp_path):
    root, project = a_project
    rounds = Round(0, RoundState.CLOSED), Round(1, RoundState.IN_REVIEW)
    project = with_saved_rounds(root, project, *rounds)
    put(ProjectLayout(root).proposal(1, "b"), square(1))
    newer = square(1, column=5)
    newer[3] = square(3, column=5)[3]
    project = correct(root, project, "b", put(tmp_path / "newer.seg.nrrd", newer))

    (item,) = export_segmentations(root, project, tmp_path / "out", case_ids=["b"])

    assert np.array_equal(read(item.path), newer)
    assert item.human_fraction == 0.5


def test_proposal_rejected_later_does_not_fill_the_gaps(a_project, tmp_path):
    root, project = a_project
    rounds = Round(0, RoundState.CLOSED), Round(1, RoundState.IN_REVIEW)
    project = with_saved_rounds(root, project, *rounds)
    put(ProjectLayout(root).proposal(1, "b"), square(0, column=5))
    project = reject(root, project, "b")

    (item,) = export_segmentations(root, project, tmp_path / "out", case_ids=["b"])

    assert np.array_equal(read(item.path), square(1, 2, 3))


def test_nifti_has_the_same_voxels_for_nibabel(a_project, tmp_path):
    (item,) = export_segmentations(
        *a_project, tmp_path / "out", SegmentationFormat.NIFTI, case_ids=["t"]
    )

    image = nibabel.load(item.path)
    assert np.array_equal(np.asarray(image.dataobj).T, square(0, 1, 2))
    # LPS to RAS: x and y change sign. The numbers are exact in the header's 32-bit floats.
    assert np.array_equal(image.affine[:3, 3], [-5.0, 7.0, 30.0])


def test_record_tells_where_each_file_comes_from(a_project, tmp_path):
    export_segmentations(*a_project, tmp_path / "out")

    record = json.loads((tmp_path / "out" / "export.json").read_text())

    assert record["schema_version"] == 2
    lines = {line["case_id"]: line for line in record["segmentations"]}
    assert lines["b"] == {
        "file": "b.partly-reviewed.seg.nrrd",
        "case_id": "b",
        "source": "corrected",
        "round": 0,
        "human_fraction": 0.25,
        "left_out": [],
        "has_single_voxels": False,
    }
    assert (lines["t"]["round"], lines["t"]["human_fraction"]) == (None, 1.0)


def test_record_of_a_newer_version_is_told_and_left_alone(a_project, tmp_path):
    record = tmp_path / "out" / "export.json"
    record.parent.mkdir()
    record.write_text('{"schema_version": 9, "segmentations": []}')
    with pytest.raises(StorageError, match="A newer version of PseudoLabelCL wrote"):
        export_segmentations(*a_project, tmp_path / "out")
    assert [path.name for path in record.parent.iterdir()] == ["export.json"]


def test_second_export_keeps_the_files_and_their_record(a_project, tmp_path):
    root, project = a_project
    out = tmp_path / "out"
    export_segmentations(root, project, out, case_ids=["a"])
    before = (out / "a.seg.nrrd").stat().st_mtime_ns

    export_segmentations(root, project, out)

    assert (out / "a.seg.nrrd").stat().st_mtime_ns == before
    record = json.loads((out / "export.json").read_text())
    assert sorted(line["case_id"] for line in record["segmentations"]) == ["a", "b", "t", "v"]


def test_export_tells_which_case_it_is_at_and_counts_those_that_are_there(a_project, tmp_path):
    export_segmentations(*a_project, tmp_path / "out", case_ids=["a", "t"])
    told = []

    export_segmentations(*a_project, tmp_path / "out", progress=lambda *words: told.append(words))

    assert told == [
        ("Comparing 'a' with what is there", 0, 4),
        ("Comparing 't' with what is there", 1, 4),
        ("Writing 'b'", 2, 4),
        ("Writing 'v'", 3, 4),
    ]


@pytest.mark.parametrize("other", ["segmentation", "text"])
def test_other_file_is_never_overwritten(a_project, tmp_path, other):
    root, project = a_project
    out = tmp_path / "out"
    out.mkdir()
    file = out / "t.seg.nrrd"
    if other == "text":
        file.write_text("notes")
    else:
        put(file, square(3))
    before = file.read_bytes()

    with pytest.raises(StorageError, match="already exists"):
        export_segmentations(root, project, out)

    assert [path.name for path in out.iterdir()] == ["t.seg.nrrd"]
    assert file.read_bytes() == before


def test_foreign_record_is_never_overwritten(a_project, tmp_path):
    (tmp_path / "out").mkdir()
    record = tmp_path / "out" / "export.json"
    record.write_text('{"mine": 1}')

    with pytest.raises(StorageError, match="not a record of an earlier export"):
        export_segmentations(*a_project, tmp_path / "out")

    assert record.read_text() == '{"mine": 1}'


def test_named_case_without_a_verdict_is_told(a_project, tmp_path):
    with pytest.raises(ProjectError, match="'d' has no segmentation"):
        export_segmentations(*a_project, tmp_path / "out", case_ids=["d"])
    with pytest.raises(ProjectError, match="no case 'x'"):
        export_segmentations(*a_project, tmp_path / "out", case_ids=["x"])


def test_nothing_to_export_is_told(tmp_path):
    project = Project("p", SCHEMA, config_for(Profile.QUICK))

    with pytest.raises(ProjectError, match="no segmentation to export"):
        export_segmentations(tmp_path, project, tmp_path / "out")
