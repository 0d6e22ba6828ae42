"""A project without any segmentation: created, pre-trained, annotated later, then trained."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from a_service import LABELS, TINY, Service, contents, labels, voxels, worker_in_this_process

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.review import Review, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.storage.project.pretraining_record import read_pretraining
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project, save_review, save_round

TINY_STEPS = [
    "--set", f"network.widths={list(TINY.widths)}",
    "--set", f"network.embedding_size={TINY.embedding_size}",
    "--set", "training.supervised.num_steps=2", "--set", "training.supervised.batch_size=2",
    "--set", "pseudo_label.num_augmented_copies=2",
    "--set", "pretraining.global_local.global_steps=3",
    "--set", "pretraining.global_local.local_steps=2",
]  # fmt: skip


@pytest.fixture
def a_service(tmp_path):
    """Three volumes, and segmentations of the first: one in the middle, one near the edge."""
    service = Service(tmp_path)
    for number in range(3):
        service.write(f"v{number}.nii.gz", voxels(number))
    service.write("seg.nii.gz", labels())
    wide = labels()
    wide[2, 1:31, 1:31] = np.maximum(wide[2, 1:31, 1:31], 1)
    service.write("wide.nii.gz", wide)
    return service


def create(service, *more):
    volumes = [str(service.path(f"v{number}.nii.gz")) for number in range(3)]
    return main(
        ["create", service.new, "--unlabelled", *volumes, "--labels", LABELS, *TINY_STEPS, *more]
    )


def annotate(service, volume="v1.nii.gz", segmentation="seg.nii.gz"):
    return main(
        [
            "add",
            service.new,
            "--annotated",
            str(service.path(volume)),
            str(service.path(segmentation)),
        ]
    )


def project_of(service):
    return load_project(Path(service.new))


def roles(service):
    return {case.id: case.role.value for case in project_of(service).cases}


# --- create ---


def test_unlabelled_volumes_alone_make_a_project_that_says_what_comes_next(a_service, capfd):
    assert create(a_service) == 0
    told = capfd.readouterr().out
    assert "3 unlabelled" in told
    assert "pretrain" not in told
    assert f"pseudolabelcl add {a_service.new} --annotated VOLUME SEGMENTATION" in told
    assert main(["status", a_service.new]) == 0
    assert "Round 0 needs an annotated volume" in capfd.readouterr().out


def test_pretraining_can_be_next(a_service, capfd):
    assert create(a_service, "--pretraining", "positional") == 0
    told = capfd.readouterr().out
    assert told.index(f"pretrain {a_service.new}") < told.index("--annotated VOLUME SEGMENTATION")


def test_labels_must_be_named_where_no_segmentation_tells_them(a_service, capfd):
    assert main(["create", a_service.new, "--unlabelled", str(a_service.path("v0.nii.gz"))]) == 1
    told = capfd.readouterr().err
    assert "no annotated volume" in told
    assert "--labels '1=" in told
    assert not Path(a_service.new).exists()


def test_project_without_any_volume_to_learn_from_is_refused(a_service, capfd):
    volume, segmentation = (str(a_service.path(name)) for name in ("v0.nii.gz", "seg.nii.gz"))
    given = ["create", a_service.new, "--validation", volume, segmentation, "--labels", LABELS]
    assert main(given) == 1
    assert "nothing to learn from" in capfd.readouterr().err


# --- add the segmentation of a volume that is there ---


def test_unlabelled_case_becomes_annotated_and_keeps_its_name_and_image(a_service, capfd):
    create(a_service)
    before = project_of(a_service).case("v1")
    assert annotate(a_service) == 0
    told = capfd.readouterr()
    assert "'v1' of the project, which is now annotated" in told.err
    assert f"Next: pseudolabelcl train {a_service.new}" in told.out
    case = project_of(a_service).case("v1")
    assert roles(a_service) == {"v0": "unlabelled", "v1": "annotated", "v2": "unlabelled"}
    assert (case.image, case.geometry) == (before.image, before.geometry)
    stored = sitk.ReadImage(str(Path(a_service.new) / case.annotation))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(stored), labels())


def test_volume_is_known_by_its_path_whatever_the_case_is_called(a_service):
    table = a_service.text("cases.csv", "id,role,image\npatient 7,unlabelled,v1.nii.gz\n")
    main(["create", a_service.new, "--table", table, "--labels", LABELS])
    assert annotate(a_service) == 0
    assert roles(a_service) == {"patient 7": "annotated"}


def test_original_of_a_copy_is_known_by_its_voxels_and_the_copy_stays(a_service):
    create(a_service, "--copy-images")
    assert annotate(a_service) == 0
    case = project_of(a_service).case("v1")
    assert (case.role, case.image) == (CaseRole.ANNOTATED, "volumes/v1.nrrd")


def test_new_volume_is_added_beside_the_others(a_service):
    create(a_service)
    a_service.write("fresh.nii.gz", voxels(9))
    assert annotate(a_service, "fresh.nii.gz") == 0
    assert roles(a_service)["fresh"] == "annotated"
    assert list(roles(a_service).values()).count("unlabelled") == 3


def test_other_volume_of_a_known_name_is_refused(a_service, capfd):
    create(a_service)
    a_service.path("other").mkdir()
    a_service.write("other/v1.nii.gz", voxels(9))
    on_disk = contents(a_service.new)
    assert annotate(a_service, "other/v1.nii.gz") == 1
    assert "There is a case 'v1' in the project already" in capfd.readouterr().err
    assert contents(a_service.new) == on_disk


def test_second_segmentation_is_refused(a_service, capfd):
    create(a_service)
    annotate(a_service)
    on_disk = contents(a_service.new)
    assert annotate(a_service, segmentation="wide.nii.gz") == 1
    assert "already (annotated)" in capfd.readouterr().err
    assert contents(a_service.new) == on_disk


def test_case_with_a_verdict_is_refused(a_service, capfd):
    create(a_service)
    root = Path(a_service.new)
    save_round(root, Round(0, RoundState.IN_REVIEW))
    save_review(root, Review("v1", 0, Verdict.REJECTED, None))
    on_disk = contents(root)
    assert annotate(a_service) == 1
    told = capfd.readouterr().err
    assert "'v1' has a verdict already (rejected in round 0)" in told
    assert "correction" in told
    assert contents(root) == on_disk


def test_case_whose_proposal_nobody_judged_is_truth_from_the_next_round_on(a_service, capfd):
    create(a_service)
    annotate(a_service, "v0.nii.gz")
    save_round(Path(a_service.new), Round(0, RoundState.IN_REVIEW))
    capfd.readouterr()
    assert annotate(a_service) == 0
    assert "Next:" not in capfd.readouterr().out
    assert [case.id for case in project_of(a_service).cases_awaiting_review()] == ["v2"]
    plan = plan_next_round(project_of(a_service))
    assert ([source.case_id for source in plan.human], plan.pseudo) == (["v0", "v1"], ("v2",))


@pytest.mark.parametrize(
    ("segmentation", "words"), [("v1.nii.gz", "its segmentation"), ("v2.nii.gz", "v2.nii.gz")]
)
def test_image_as_segmentation_is_refused_and_changes_nothing(
    a_service, segmentation, words, capfd
):
    create(a_service)
    on_disk = contents(a_service.new)
    assert annotate(a_service, segmentation=segmentation) == 1
    assert words in capfd.readouterr().err
    assert contents(a_service.new) == on_disk


def test_annotation_is_taken_back_if_a_later_volume_is_unfit(a_service):
    create(a_service)
    on_disk = contents(a_service.new)
    bad = a_service.text("bad.nrrd", "no volume")
    volume, segmentation = (str(a_service.path(name)) for name in ("v1.nii.gz", "seg.nii.gz"))
    given = ["add", a_service.new, "--annotated", volume, segmentation, "--unlabelled", bad]
    assert main(given) == 1
    assert contents(a_service.new) == on_disk


# --- train ---


def test_training_without_an_annotated_case_says_what_is_missing(a_service, capfd, monkeypatch):
    create(a_service)
    (finding,) = [
        f for f in check_cases(Path(a_service.new), project_of(a_service)) if f.case_id == ""
    ]
    assert (finding.severity, "add PROJECT --annotated" in finding.remedy) == ("error", True)
    with worker_in_this_process(monkeypatch):
        assert main(["train", a_service.new, "--device", "cpu"]) == 1
    assert "no annotated case" in capfd.readouterr().err
    assert project_of(a_service).rounds == ()


@pytest.mark.slow
def test_network_is_pretrained_before_anyone_has_segmented_anything(a_service, capfd, monkeypatch):
    root = Path(a_service.new)
    in_a_window = ("--set", "preprocess.whole_slices=false")
    assert create(a_service, "--pretraining", "global+local", *in_a_window) == 0
    with worker_in_this_process(monkeypatch):
        assert main(["pretrain", a_service.new, "--device", "cpu"]) == 0
        record = read_pretraining(root)
        assert record.cases == ("v0", "v1", "v2")
        assert record.preprocess.window_size == (32, 32)
        assert annotate(a_service, segmentation="wide.nii.gz") == 0
        capfd.readouterr()
        assert main(["train", a_service.new, "--device", "cpu"]) == 0
    told = capfd.readouterr()
    # with 8 pixels around it, the wide structure needs a larger window than the slices themselves
    plan = json.loads(ProjectLayout(root).preprocess_plan.read_text("utf-8"))
    assert plan["resolved"]["window_size"] == [64, 64]
    assert "pre-training is reused although the network's grid changed" in told.err
    assert "Round 0 starts from this: Pre-training 'global+local' on 3 volumes" in told.out
    assert read_pretraining(root) == record
    assert [case.id for case in project_of(a_service).cases_awaiting_review()] == ["v0", "v2"]
