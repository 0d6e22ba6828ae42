"""The dry check before training: errors, warnings, and what is not worth a word."""

import re
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from small_projects import add_case

from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.check.compare_cases import CaseFigures, figures_of, unlike_others
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.slice_turn import slice_directions
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.storage.project.preprocess_plan import save_preprocess_plan
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation

SCHEMA = LabelSchema.from_values((1, 2))


def write(path, array, spacing=(1.5, 1.5, 8.0)):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


def noise(seed=0, size=(12, 10, 5)):
    return np.random.default_rng(seed).normal(100, 10, size[::-1]).astype(np.float32)


def segmented(slices=(1, 2, 3), values=(1, 2)):
    array = np.zeros((5, 10, 12), np.uint8)
    for n, value in enumerate(values):
        array[list(slices), 2 + 3 * n : 4 + 3 * n, 3:8] = value
    return array


def messages(findings, severity):
    return [finding.message for finding in findings if finding.severity == severity]


@pytest.fixture
def a_project(tmp_path):
    """One annotated and four unlabelled cases with nothing to object to."""
    root = tmp_path / "project"
    project = Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    image = write(tmp_path / "t.nrrd", noise(8))
    labels = write(tmp_path / "labels.nrrd", segmented())
    project, _ = add_case(root, project, "t", CaseRole.ANNOTATED, image, labels)
    for number in range(4):
        image = write(tmp_path / f"u{number}.nrrd", noise(number))
        project, _ = add_case(root, project, f"u{number}", CaseRole.UNLABELLED, image)
    return root, project


def test_good_project_has_no_finding(a_project):
    assert check_cases(*a_project) == ()


def test_empty_project_lacks_annotated_and_unlabelled_cases(a_project):
    root, project = a_project

    findings = check_cases(root, replace(project, cases=()))

    assert [finding.severity for finding in findings] == ["error", "note"]
    assert "no annotated case" in findings[0].message
    assert "no unlabelled case" in findings[1].message


def test_missing_image_is_an_error_of_its_case_alone(a_project, tmp_path):
    root, project = a_project
    (tmp_path / "u1.nrrd").unlink()

    (finding,) = check_cases(root, project)

    assert (finding.case_id, finding.severity) == ("u1", "error")


def test_check_tells_how_many_cases_it_has_looked_at(a_project):
    root, project = a_project
    cases = (*project.cases[:4], replace(project.cases[4], role=CaseRole.IGNORED))
    told = []

    check_cases(root, replace(project, cases=cases), progress=lambda *words: told.append(words))

    names = ("t", "u0", "u1", "u2")
    assert told == [(f"Checking '{name}'", n, 4) for n, name in enumerate(names)]


def test_ignored_case_is_not_looked_at(a_project, tmp_path):
    root, project = a_project
    (tmp_path / "u1.nrrd").unlink()

    project = project.with_case(project.case("u1").with_role(CaseRole.IGNORED))

    assert check_cases(root, project) == ()


def test_image_with_another_grid_than_when_added_is_an_error(a_project, tmp_path):
    root, project = a_project
    write(tmp_path / "u1.nrrd", noise(), spacing=(1.0, 1.0, 8.0))

    (finding,) = check_cases(root, project)

    assert finding.severity == "error"
    assert "is not the one that was added" in finding.message


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "whose intensity is not a finite number"), (None, "is constant: every voxel is 1")],
)
def test_image_that_went_bad_is_an_error(a_project, tmp_path, value, words):
    root, project = a_project
    array = noise() if value is not None else np.ones_like(noise())
    array[0, 0, 0] = 1 if value is None else value
    write(tmp_path / "u2.nrrd", array)

    (message,) = messages(check_cases(root, project), "error")

    assert "'u2'" in message
    assert words in message


def test_lost_annotation_is_an_error(a_project):
    root, project = a_project
    (root / "annotations" / "t.seg.nrrd").unlink()

    (finding,) = check_cases(root, project)

    assert (finding.case_id, finding.severity) == ("t", "error")


def test_class_that_nobody_annotated_is_an_error(a_project):
    root, project = a_project
    geometry = project.case("t").geometry
    array = segmented(values=(1,)).astype(np.int16)
    write_segmentation(root / "annotations" / "t.seg.nrrd", LabelVolume(array, geometry), SCHEMA)

    findings = check_cases(root, project)

    assert messages(findings, "error") == ["No annotated case has any voxels of 'label 2'."]
    assert messages(findings, "note") == ["Case 't' has no voxels of 'label 2'."]


def test_few_annotated_slices_are_a_note(a_project):
    root, project = a_project
    geometry = project.case("t").geometry
    array = segmented(slices=(2,)).astype(np.int16)
    write_segmentation(root / "annotations" / "t.seg.nrrd", LabelVolume(array, geometry), SCHEMA)

    (message,) = messages(check_cases(root, project), "note")

    assert "segmented on 1 of its 5 slices" in message


@pytest.mark.parametrize(
    ("size", "spacing", "gain", "words"),
    [
        ((12, 10, 5), (4.5, 4.5, 8.0), 1, "pixel size of case 'odd' is 4.5 mm; .* about 1.5 mm"),
        ((12, 10, 5), (1.5, 1.5, 2.0), 1, "slice distance of case 'odd' is 2 mm; .* about 8 mm"),
        ((40, 40, 5), (1.5, 1.5, 8.0), 1, "field of view of case 'odd' is 60 mm; .* about 16.4 mm"),
        ((12, 10, 30), (1.5, 1.5, 8.0), 1, "number of slices of case 'odd' is 30; .* about 5"),
        ((12, 10, 5), (1.5, 1.5, 8.0), 50, "intensity range of case 'odd' is"),
    ],
)
def test_unlike_case_is_named_with_both_numbers(a_project, tmp_path, size, spacing, gain, words):
    root, project = a_project
    image = write(tmp_path / "odd.nrrd", gain * noise(9, size), spacing)
    project, _ = add_case(root, project, "odd", CaseRole.UNLABELLED, image)

    findings = check_cases(root, project)

    assert {finding.case_id for finding in findings} == {"odd"}
    assert any(re.search(words, finding.message) for finding in findings)


def test_slices_that_the_network_sees_turned_are_told_in_one_sentence(a_project, tmp_path):
    root, project = a_project
    names = []
    for way in ("RAS", "PLS", "RPS"):
        image = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "u0.nrrd")), way)
        sitk.WriteImage(image, str(tmp_path / f"{way}.nrrd"))
        names.append(way)
        project, _ = add_case(root, project, way, CaseRole.UNLABELLED, tmp_path / f"{way}.nrrd")
    turned = [f for f in check_cases(root, project) if "turned" in f.message]
    assert [(f.case_id, f.severity) for f in turned] == [("", "note")]
    assert "3 cases RAS, PLS, RPS" in turned[0].message
    assert "turn_slices=false" in turned[0].remedy


def test_after_round_0_turned_is_what_the_rounds_settled_and_not_what_most_cases_would(
    a_project, tmp_path
):
    root, project = a_project
    image = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "u0.nrrd")), "RAS")
    sitk.WriteImage(image, str(tmp_path / "RAS.nrrd"))
    project, _ = add_case(root, project, "RAS", CaseRole.UNLABELLED, tmp_path / "RAS.nrrd")
    (told,) = check_cases(root, project)
    assert (told.case_id, "turn_slices=false" in told.remedy) == ("RAS", True)

    settings = project.config.preprocess
    begun = replace(project, rounds=(Round(0, RoundState.TRAINING),))
    own = slice_directions(begun.case("RAS").geometry, 2)
    save_preprocess_plan(root, settings, replace(settings, slice_directions=own))
    (told,) = check_cases(root, begun)
    assert "5 cases" in told.message
    assert "turn_slices" not in told.remedy  # settled since round 0 has begun

    save_preprocess_plan(root, settings, settings)  # as versions wrote it that turned nothing
    assert check_cases(root, begun) == ()


def figures(case_id, **changes):
    usual = CaseFigures(case_id, 1.5, 8.0, 300.0, 10, 1000.0)
    return replace(usual, **changes)


def test_ordinary_spread_is_not_worth_a_word():
    rng = np.random.default_rng(3)
    cases = [
        figures(f"c{n}", pixel_mm=rng.uniform(1.2, 1.9), num_slices=rng.integers(6, 14),
                intensity_range=rng.uniform(300, 1500))
        for n in range(30)
    ]  # fmt: skip

    assert list(unlike_others(cases)) == []


def test_wide_spread_makes_no_case_odd():
    cases = [figures(f"c{n}", pixel_mm=0.5 * 1.3**n) for n in range(9)]

    assert list(unlike_others(cases)) == []


def test_single_case_has_nothing_to_be_unlike():
    assert list(unlike_others([figures("a")])) == []


def test_mixed_collection_is_told_in_one_sentence():
    cases = [figures(f"c{n}", intensity_range=1e6 if n < 6 else 1000 + n) for n in range(20)]

    ((case_id, message),) = unlike_others(cases)

    assert case_id == ""
    assert "6 of 20" in message
    assert "c0, c1" in message


def test_figures_follow_the_slicing_axis():
    geometry = Geometry((20, 30, 5), (2.0, 0.5, 6.0), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    array = np.linspace(0, 100, 3000).reshape(5, 30, 20)

    found = figures_of("a", Volume(array, geometry), 2)

    # The geometric mean of 2 and 0.5 mm, and of edges of 40 and 15 mm.
    assert found.pixel_mm == pytest.approx(1.0)
    assert found.field_of_view_mm == pytest.approx(600**0.5)
    assert (found.slice_mm, found.num_slices) == (6.0, 5)
    # On a straight ramp the percentiles lie at 1 and 99 % of the way.
    assert found.intensity_range == pytest.approx(98.0)


def test_small_bright_thing_in_a_black_volume_has_a_range():
    geometry = Geometry((20, 30, 5), (2.0, 0.5, 6.0), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    array = np.zeros((5, 30, 20))
    array[2, 3, 4] = 7

    assert figures_of("a", Volume(array, geometry), 2).intensity_range == 7
