"""Projects of earlier versions, made by them: opened, shown, judged, trained on, gone back in.

In `data/project-0.1.0.zip` a case was accepted, one corrected on two slices and one rejected in
round 0; round 1 is in review. Checkpoints, logs and what can be made again were left out.
`data/project-schema-3.zip` is the same of the last version in which a case had one image;
`data/project-schema-4.zip` is that project, gone on with by the last version whose settings knew
nothing of mixup and precision: in round 2, which is in review, a case was accepted.
`data/project-schema-5.zip` is that project again, gone on with by the version after it: round 3 is
in review, and its one proposal accepted.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from a_service import worker_in_this_process
from judging import accept, correct, reject, take_back
from small_projects import contents

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.cases.change_cases import set_role
from PseudoLabelCLLib.curation.cases.settings import change_settings
from PseudoLabelCLLib.curation.review.display_files import write_case_files
from PseudoLabelCLLib.curation.review.go_back import go_back
from PseudoLabelCLLib.curation.review.round_history import round_figures
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Precision
from PseudoLabelCLLib.domain.review import TruthExtent, Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.messages.project_view import CaseState
from PseudoLabelCLLib.project_service.view_project import view_of
from PseudoLabelCLLib.storage.project import project_store
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import SCHEMA_VERSION, load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

ARCHIVE = Path(__file__).parents[1] / "data" / "project-0.1.0.zip"
ONE_IMAGE_ARCHIVE = ARCHIVE.with_name("project-schema-3.zip")
FEWER_SETTINGS_ARCHIVE = ARCHIVE.with_name("project-schema-4.zip")
LAST_ARCHIVE = ARCHIVE.with_name("project-schema-5.zip")


def unpacked(archive, folder):
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture
def old(tmp_path):
    return unpacked(ARCHIVE, tmp_path / "project")


def versions(root):
    """The schema version of every file of the project that has one, history aside."""
    files = [
        root / "project.json",
        *root.glob("rounds/*/round.json"),
        *root.glob("reviews/*/*.json"),
    ]
    return {
        path.relative_to(root).as_posix(): json.loads(path.read_text("utf-8"))["schema_version"]
        for path in files
    }


def correction_of(root, project, case_id):
    """A file in which one voxel of the newest proposal differs."""
    layout = ProjectLayout(root)
    labels = read_segmentation(layout.proposal(1, case_id), project.schema)[0]
    array = labels.array.copy()
    array[0, 2, 3] = 2
    file = root.parent / f"{case_id}.seg.nrrd"
    write_segmentation(file, LabelVolume(array, labels.geometry), project.schema)
    return file, array


@pytest.mark.parametrize(
    "archive",
    [ARCHIVE, ONE_IMAGE_ARCHIVE, FEWER_SETTINGS_ARCHIVE, LAST_ARCHIVE],
    ids=lambda path: path.stem,
)
def test_window_scale_and_pieces_stay_as_the_project_was_made(archive, tmp_path):
    config = load_project(unpacked(archive, tmp_path)).config
    assert not config.preprocess.whole_slices
    assert not config.preprocess.scale_ct
    assert not config.pseudo_label.single_pieces
    assert config.preprocess.dimension == 2


def test_archive_is_small_and_of_version_1(old):
    assert ARCHIVE.stat().st_size < 200_000
    assert set(versions(old).values()) == {1}
    assert set(versions(old)) == {
        "project.json", "rounds/round_00/round.json", "rounds/round_01/round.json",
        *(f"reviews/round_00/{name}.json" for name in ("accepted", "corrected", "rejected")),
    }  # fmt: skip


def test_reading_and_showing_writes_nothing_but_views(old):
    before = contents(old)
    project = load_project(old)
    view = view_of(old, project)
    assert {case.id: (case.state, case.last_verdict) for case in view.cases} == {
        "drawn": (CaseState.ANNOTATED, None),
        "accepted": (CaseState.ACCEPTED, Verdict.ACCEPTED),
        "corrected": (CaseState.PROPOSED, Verdict.CORRECTED),
        "rejected": (CaseState.PROPOSED, Verdict.REJECTED),
    }
    assert view.case("corrected").truth_fraction == 2 / 5
    assert [figures.num_compared for figures in round_figures(old, project, lambda *_: None)] == [
        2,
        0,
    ]
    shown = write_case_files(old, project, "corrected", 0, with_image=True)
    assert np.load(shown.image).shape == np.load(shown.reviewed).shape == (5, 18, 20)
    assert not np.array_equal(np.load(shown.reviewed), np.load(shown.proposal))
    assert main(["status", str(old)]) == 0
    assert {name: hash_ for name, hash_ in contents(old).items() if "view/" not in name} == before


def test_first_verdict_raises_the_project_before_it_is_written(old, monkeypatch):
    written = []
    real = project_store.write_json
    monkeypatch.setattr(
        project_store,
        "write_json",
        lambda path, value: written.append(path.name) or real(path, value),
    )
    before = json.loads((old / "project.json").read_text("utf-8"))
    project = load_project(old)
    file, array = correction_of(old, project, "corrected")
    project = correct(old, project, "corrected", file, extent=TruthExtent.CHANGED_VOXELS)
    assert written == ["project.json", "corrected.json"]
    after = json.loads((old / "project.json").read_text("utf-8"))
    assert after == {**before, "schema_version": SCHEMA_VERSION}
    assert versions(old)["reviews/round_01/corrected.json"] == SCHEMA_VERSION
    assert versions(old)["reviews/round_00/corrected.json"] == 1
    assert load_project(old) == project
    review = project.reviews_of("corrected")[-1]
    stored = read_segmentation(ProjectLayout(old).resolve(review.segmentation), project.schema)[0]
    np.testing.assert_array_equal(stored.array, array)


@pytest.mark.parametrize(
    "write",
    [
        lambda root, project: change_settings(root, project, {"training.seed": "3"}),
        lambda root, project: set_role(root, project, ["rejected"], CaseRole.IGNORED),
        lambda root, project: accept(root, project, "rejected"),
        lambda root, project: reject(root, project, "rejected"),
        lambda root, project: save_round(root, project.rounds[1].moved_to(RoundState.CLOSED)),
    ],
    ids=["settings", "role", "accept", "reject", "round"],
)
def test_after_any_write_an_older_program_is_told_that_it_is_too_old(old, write, monkeypatch):
    write(old, load_project(old))
    project = load_project(old)
    assert project.name == "Version 0.1.0"
    # As version 0.1.0 does it: project.json first, then the rounds, then the verdicts, and of each
    # the version before the fields.
    monkeypatch.setattr(project_store, "SCHEMA_VERSION", 1)
    with pytest.raises(
        project_store.ProjectNewerError, match=rf"schema {SCHEMA_VERSION}; this version knows 1"
    ):
        load_project(old)


def test_verdicts_of_both_versions_are_taken_back_and_gone_back_to(old):
    project = load_project(old)
    file, _ = correction_of(old, project, "corrected")
    project = correct(old, project, "corrected", file, extent=TruthExtent.CHANGED_VOXELS)
    project = take_back(old, accept(old, project, "corrected"), "corrected")
    assert project.reviews_of("corrected")[-1].truth_mask is not None
    project = go_back(old, project, 0)
    assert load_project(old) == project
    verdicts = {review.case_id: review.verdict.value for review in project.reviews}
    assert verdicts == {name: name for name in ("accepted", "corrected", "rejected")}
    project = reject(old, project, "corrected")
    project = take_back(old, project, "corrected")
    assert project.reviews_of("corrected")[-1].truth_slices == (1, 2)
    assert set(load_project(old).reviews) == set(project.reviews)


def test_next_round_learns_from_verdicts_of_both_versions(old, monkeypatch, capfd):
    project = load_project(old)
    file, _ = correction_of(old, project, "rejected")
    correct(old, project, "rejected", file, extent=TruthExtent.CHANGED_VOXELS)
    with worker_in_this_process(monkeypatch):
        assert main(["train", str(old), "--device", "cpu"]) == 0
    told = capfd.readouterr().out
    assert (
        "Round 2 will learn from 4 human segmentations (1 of them on single slices only, 1 of them "
        "on single voxels only) and 2 pseudo-labels."
    ) in told
    project = load_project(old)
    assert [round_.state for round_ in project.rounds] == [
        RoundState.CLOSED, RoundState.CLOSED, RoundState.IN_REVIEW,
    ]  # fmt: skip
    assert {"corrected", "rejected"} == {case.id for case in project.cases_awaiting_review()}


def test_verdicts_that_leave_structures_out_are_reread_and_that_is_said_once(
    old, monkeypatch, capfd
):
    accept(old, load_project(old), "rejected", left_out=(2,))
    before = (old / "reviews" / "round_01" / "rejected.json").read_bytes()
    told = []
    for _ in range(2):
        with worker_in_this_process(monkeypatch):
            assert main(["train", str(old), "--device", "cpu"]) == 0
        told.append(capfd.readouterr().out)
    sentence = (
        "Structures were left out of the verdicts on 'rejected'. From round 2 on, what lies "
        "outside the accepted structures there counts as none of them"
    )
    assert [text.count(sentence) for text in told] == [1, 0]
    assert (old / "reviews" / "round_01" / "rejected.json").read_bytes() == before
    assert [one.outside_counts for one in load_project(old).rounds] == [False, False, True, True]


@pytest.fixture
def of_one_image(tmp_path):
    return unpacked(ONE_IMAGE_ARCHIVE, tmp_path / "project")


def test_project_of_one_image_opens_with_one_unnamed_channel(of_one_image):
    assert ONE_IMAGE_ARCHIVE.stat().st_size < 200_000
    before = contents(of_one_image)
    assert set(versions(of_one_image).values()) == {3}
    project = load_project(of_one_image)
    assert project.channels == ()
    assert project.num_channels == 1
    assert all(case.further_images == () for case in project.cases)
    assert {review.verdict.value for review in project.reviews} == {
        "accepted", "corrected", "rejected",
    }  # fmt: skip
    assert main(["status", str(of_one_image)]) == 0
    assert contents(of_one_image) == before


@pytest.fixture
def of_fewer_settings(tmp_path):
    return unpacked(FEWER_SETTINGS_ARCHIVE, tmp_path / "project")


def test_settings_that_a_project_knew_nothing_of_leave_it_as_it_was(of_fewer_settings):
    assert FEWER_SETTINGS_ARCHIVE.stat().st_size < 200_000
    found = versions(of_fewer_settings)
    assert found["project.json"] == found["reviews/round_02/corrected.json"] == 4
    before = contents(of_fewer_settings)
    project = load_project(of_fewer_settings)
    config = project.config
    assert config.training.precision is Precision.AUTO
    assert config.training.augmentation.mixup_alpha == 0
    assert config.pretraining.global_local.num_regions == 13
    assert not config.pretraining.positional.norm_per_view
    assert [case.id for case in project.cases_awaiting_review()] == ["rejected"]
    assert contents(of_fewer_settings) == before
    project = accept(of_fewer_settings, project, "rejected")
    assert set(versions(of_fewer_settings).values()) == {3, 4, SCHEMA_VERSION}
    assert load_project(of_fewer_settings) == project


@pytest.fixture
def of_the_last_version(tmp_path):
    return unpacked(LAST_ARCHIVE, tmp_path / "project")


def test_project_of_the_version_before_opens_as_it_was(of_the_last_version):
    assert LAST_ARCHIVE.stat().st_size < 200_000
    before = contents(of_the_last_version)
    assert versions(of_the_last_version)["project.json"] == 5
    project = load_project(of_the_last_version)
    assert project.cases_awaiting_review() == ()
    assert project.reviews_of("rejected")[-1].verdict is Verdict.ACCEPTED
    assert project.preprocess.neighbouring_slices == 0
    assert project.config.pseudo_label.coarse_pass_from == 0
    assert main(["status", str(of_the_last_version)]) == 0
    assert contents(of_the_last_version) == before


@pytest.mark.parametrize(
    "archive", ["old", "of_one_image", "of_fewer_settings", "of_the_last_version"]
)
@pytest.mark.parametrize(
    "write",
    [
        lambda root, project: change_settings(root, project, {"training.seed": "3"}),
        lambda root, project: accept(root, project, "rejected"),
    ],
    ids=["settings", "verdict"],
)
def test_the_first_write_keeps_a_copy_of_the_project_file_as_it_was(archive, write, request):
    root = request.getfixturevalue(archive)
    before = (root / "project.json").read_bytes()
    version = json.loads(before)["schema_version"]
    write(root, load_project(root))
    copy = root / "set_aside" / f"schema_{version}" / "project.json"
    assert copy.read_bytes() == before
    assert json.loads((root / "project.json").read_text("utf-8"))["schema_version"] == (
        SCHEMA_VERSION
    )
    change_settings(root, load_project(root), {"training.seed": "4"})
    assert copy.read_bytes() == before


def test_project_of_one_image_trains_its_next_round_with_the_network_it_has(
    of_one_image, monkeypatch, capfd
):
    with worker_in_this_process(monkeypatch):
        assert main(["train", str(of_one_image), "--device", "cpu"]) == 0
    assert "Round 2 is ready" in capfd.readouterr().out
    project = load_project(of_one_image)
    assert project.rounds[-1].state is RoundState.IN_REVIEW
    assert project.channels == ()
