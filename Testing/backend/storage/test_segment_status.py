"""How far a person is with a segment: kept from the file, and said by the review in exports."""

import re

import numpy as np
import pytest
from judging import accept, correct
from nrrd_by_hand import read_nrrd, write_nrrd
from small_projects import add_case

from PseudoLabelCLLib.curation.export.export_segmentations import export_segmentations
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import TruthExtent
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema, SegmentStatus
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

GRID = Geometry((12, 10, 4), (1.5, 1.5, 6), (-48, -42, -40), (1, 0, 0, 0, 1, 0, 0, 0, 1))
SCHEMA = LabelSchema.from_values((1, 2))
DRAWN = np.zeros(GRID.array_shape, np.int16)
DRAWN[:, 2:6, 2:6] = 1
DRAWN[:, 6:8, 2:9] = 2


def statuses_in(path):
    """Return the status of each segment by its name, read without the program."""
    _, fields = read_nrrd(path)
    names = {key[:-5]: name for key, name in fields.items() if key.endswith("_Name")}
    found = {key: re.search(r"Segmentation\.Status:(\w+)", fields[f"{key}_Tags"]) for key in names}
    return {names[key]: status and status[1] for key, status in found.items()}


@pytest.fixture
def a_project(tmp_path):
    root = tmp_path / "P"
    create_project(root, Project("p", SCHEMA, config_for(Profile.QUICK)))
    return root, Project("p", SCHEMA, config_for(Profile.QUICK))


def put_image(path, seed=0):
    noise = np.random.default_rng(seed).normal(0, 9, GRID.array_shape)
    write_volume(path, Volume((DRAWN * 80 + noise).astype(np.float32), GRID))
    return path


def put_drawn(path, *statuses):
    header = {}
    for n, status in enumerate(statuses):
        tag = f"Segmentation.Status:{status}|" if status else ""
        header |= {
            f"Segment{n}_ID": f"s{n}",
            f"Segment{n}_Name": f"label {n + 1}",
            f"Segment{n}_LabelValue": str(n + 1),
            f"Segment{n}_Layer": "0",
            f"Segment{n}_Tags": tag,
        }
    return write_nrrd(path, DRAWN.astype(np.uint8), header)


@pytest.mark.parametrize("status", [status.value for status in SegmentStatus])
def test_status_of_a_file_is_kept_in_the_project_and_in_its_export(a_project, tmp_path, status):
    root, project = a_project
    drawn = put_drawn(tmp_path / "d.seg.nrrd", status, "flagged")
    image = put_image(tmp_path / "a.nrrd")
    project, _ = add_case(root, project, "a", CaseRole.ANNOTATED, image, drawn)
    wanted = {"label 1": status, "label 2": "flagged"}
    assert statuses_in(ProjectLayout(root).annotation("a")) == wanted
    (exported,) = export_segmentations(root, project, tmp_path / "out")
    assert statuses_in(exported.path) == wanted


def test_file_without_a_status_or_with_an_unknown_one_is_in_progress(a_project, tmp_path):
    root, project = a_project
    drawn = put_drawn(tmp_path / "d.seg.nrrd", "", "someday")
    image = put_image(tmp_path / "a.nrrd")
    add_case(root, project, "a", CaseRole.ANNOTATED, image, drawn)
    assert set(statuses_in(ProjectLayout(root).annotation("a")).values()) == {"inprogress"}


def test_status_survives_another_grid_of_the_same_voxels(a_project, tmp_path):
    root, project = a_project
    whole = LabelVolume(DRAWN, GRID, {1: SegmentStatus.COMPLETED, 2: SegmentStatus.FLAGGED})
    write_segmentation(tmp_path / "w.seg.nrrd", whole, SCHEMA)
    cropped = Geometry((8, 7, 4), GRID.spacing_mm, (-46.5, -40.5, -40), GRID.direction)
    part = LabelVolume(DRAWN[:, 1:8, 1:9], cropped, whole.statuses)
    write_segmentation(tmp_path / "c.seg.nrrd", part, SCHEMA)
    image = put_image(tmp_path / "a.nrrd")
    add_case(root, project, "a", CaseRole.ANNOTATED, image, tmp_path / "c.seg.nrrd")
    stored = ProjectLayout(root).annotation("a")
    assert statuses_in(stored) == statuses_in(tmp_path / "w.seg.nrrd")
    assert np.array_equal(read_segmentation(stored, SCHEMA)[0].array, DRAWN)


def test_export_says_what_the_review_said(a_project, tmp_path):
    root, project = a_project
    layout = ProjectLayout(root)
    names = ("accepted", "rest", "whole", "some", "unseen")
    for n, name in enumerate(names):
        image = put_image(tmp_path / f"{name}.nrrd", n)
        project, _ = add_case(root, project, name, CaseRole.UNLABELLED, image)
        layout.proposal(0, name).parent.mkdir(parents=True, exist_ok=True)
        write_segmentation(layout.proposal(0, name), LabelVolume(DRAWN, GRID), SCHEMA)
    round_ = Round(0, RoundState.IN_REVIEW)
    save_round(root, round_)
    changed = DRAWN.copy()
    changed[1, 8, 2:9] = 2
    write_segmentation(tmp_path / "changed.seg.nrrd", LabelVolume(changed, GRID), SCHEMA)
    project = accept(root, project.with_round(round_), "accepted")
    project = accept(root, project, "rest", left_out=[2])
    for name, extent in (("whole", TruthExtent.WHOLE), ("some", TruthExtent.CHANGED_SLICES)):
        project = correct(root, project, name, tmp_path / "changed.seg.nrrd", extent=extent)

    exported = export_segmentations(root, project, tmp_path / "out", include_unreviewed=True)

    found = {item.case_id: statuses_in(item.path) for item in exported}
    assert found == {
        "accepted": {"label 1": "completed", "label 2": "completed"},
        "rest": {"label 1": "completed", "label 2": "flagged"},
        "whole": {"label 1": "completed", "label 2": "completed"},
        "some": {"label 1": "inprogress", "label 2": "inprogress"},
        "unseen": {"label 1": "notstarted", "label 2": "notstarted"},
    }
