"""The figures of every round: compared with slow references, and not measured twice."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from judging import accept, correct, reject
from small_projects import with_saved_rounds

from PseudoLabelCLLib.curation.cases.change_cases import set_role
from PseudoLabelCLLib.curation.review import round_history
from PseudoLabelCLLib.curation.review.round_history import round_figures
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.errors import ProjectDamagedError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import TruthExtent
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.prediction.evaluate import MeasuredCase, MeasuredModel
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality, summarise
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation

GRID = Geometry((10, 9, 5), (1.5, 1.5, 8.0), (5.0, -7.0, 30.0), (1, 0, 0, 0, 0, 1, 0, 1, 0))
SCHEMA = LabelSchema.from_values((1, 4))


def labels_in(*slices):
    array = np.zeros(GRID.array_shape, np.int16)
    array[1:4, 2:7, 2:8] = 1
    array[2, 3:6, 4:6] = 4
    for number in slices:
        array[number, 1, 1:5] = 1
    return array


def drawn(folder, array, name="drawn"):
    path = folder / f"{name}.seg.nrrd"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_segmentation(path, LabelVolume(array, GRID), SCHEMA)
    return path


def slow_dice(first, second, value):
    both = one = other = 0
    for a, b in zip(first.ravel(), second.ravel(), strict=True):
        one += a == value
        other += b == value
        both += a == value and b == value
    return 2 * both / (one + other)


def write_evaluation(root, index, shifts):
    """What a round writes about its validation cases; return the mean Dice by a slow loop."""
    cases, dice = [], []
    for number, shift in enumerate(shifts):
        predicted = np.roll(labels_in(), shift, axis=2)
        pair = LabelVolume(predicted, GRID), LabelVolume(labels_in(), GRID)
        cases.append(MeasuredCase(f"v{number or ''}", measure_quality(*pair, SCHEMA)))
        dice.append(np.mean([slow_dice(predicted, labels_in(), value) for value in (1, 4)]))
    summary = summarise([case.quality for case in cases])
    measured = MeasuredModel(f"round {index}", tuple(cases), summary)
    write_json(ProjectLayout(root).evaluation(index), to_json(measured))
    return float(np.mean(dice))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Round 0 in review with proposals for a, b, c and the validation case v."""
    root = tmp_path_factory.mktemp("made") / "project"
    cases = [Case(name, CaseRole.UNLABELLED, f"../{name}.nii", GRID) for name in "abc"]
    cases.append(Case("v", CaseRole.VALIDATION, "../v.nii", GRID, "annotations/v.seg.nrrd"))
    rounds = (Round(0, RoundState.IN_REVIEW),)
    create_project(root, Project("p", SCHEMA, config_for(Profile.QUICK), tuple(cases), rounds))
    layout = ProjectLayout(root)
    for name, doubt in (("a", 0.1), ("b", 0.2), ("c", 0.6), ("v", 1.0)):
        drawn(layout.proposal(0, name).parent, labels_in(), name)
        write_json(layout.doubt(0, name), to_json(Doubt(doubt, 1 - doubt, (doubt,) * 5, "Look.")))
    return root


@pytest.fixture
def a_project(made, tmp_path):
    root = Path(shutil.copytree(made, tmp_path / "project"))
    return root, load_project(root)


def quiet(_text, _done, _total):
    pass


def test_unreviewed_round_has_its_doubt_alone(a_project):
    root, project = a_project
    ProjectLayout(root).doubt(0, "v").unlink()

    (figures,) = round_figures(root, project, quiet)

    assert figures.mean_doubt == pytest.approx((0.1 + 0.2 + 0.6) / 3)
    assert (figures.validation_dice, figures.agreement, figures.num_compared) == (None, None, 0)


def test_doubt_about_validation_cases_counts_neither_now_nor_when_they_are_used_otherwise(
    a_project,
):
    root, project = a_project
    write_evaluation(root, 0, [0, 1])

    before = round_figures(root, project, quiet)

    assert before[0].mean_doubt == pytest.approx((0.1 + 0.2 + 0.6) / 3)
    changed = set_role(root, project, ["v"], CaseRole.UNLABELLED)
    assert round_figures(root, changed, quiet) == before


def test_dice_is_the_mean_over_structures_and_validation_cases(a_project):
    root, project = a_project
    expected = write_evaluation(root, 0, [0, 1, 2])

    assert round_figures(root, project, quiet)[0].validation_dice == pytest.approx(expected)


def test_agreement_is_the_mean_over_verdicts_of_the_mean_over_structures(a_project, tmp_path):
    root, project = a_project
    project = correct(root, project, "a", drawn(tmp_path, labels_in(2, 3)))
    project = accept(root, project, "b")
    project = reject(root, project, "c")

    (figures,) = round_figures(root, project, quiet)

    # on the slices that the person confirmed
    first, second = labels_in()[2:4], labels_in(2, 3)[2:4]
    corrected = np.mean([slow_dice(first, second, value) for value in (1, 4)])
    assert figures.agreement == pytest.approx(np.mean([corrected, 1.0]))
    assert figures.num_compared == 2


def test_every_round_has_its_own_figures(a_project, tmp_path):
    root, project = a_project
    project = accept(root, project, "a")
    rounds = Round(0, RoundState.CLOSED), Round(1, RoundState.IN_REVIEW)
    project = with_saved_rounds(root, project, *rounds)
    layout = ProjectLayout(root)
    drawn(layout.proposal(1, "b").parent, labels_in(), "b")
    write_json(layout.doubt(1, "b"), to_json(Doubt(0.05, 0.95, (0.05,) * 5, "Look.")))
    expected = write_evaluation(root, 1, [1])
    project = correct(root, project, "b", drawn(tmp_path, labels_in(2)), extent=TruthExtent.WHOLE)

    first, second = round_figures(root, project, quiet)

    assert (first.index, first.agreement, first.num_compared) == (0, 1.0, 1)
    assert (second.index, second.num_compared, second.mean_doubt) == (1, 1, 0.05)
    assert second.validation_dice == pytest.approx(expected)
    assert second.agreement == pytest.approx(
        np.mean([slow_dice(labels_in(), labels_in(2), value) for value in (1, 4)])
    )


def test_round_that_still_runs_has_no_doubt_yet(a_project):
    root, project = a_project
    project = project.with_round(Round(0, RoundState.PSEUDO_LABELLING))

    assert round_figures(root, project, quiet)[0].mean_doubt is None


def test_nothing_is_compared_twice_but_what_has_changed(a_project, tmp_path, monkeypatch):
    root, project = a_project
    project = correct(root, project, "a", drawn(tmp_path, labels_in(2)))
    project = accept(root, project, "b")
    before = round_figures(root, project, quiet)
    compared = []

    def counting(*arguments):
        compared.append(arguments[2].case_id)
        return measure(*arguments)

    measure = round_history.agreement_with_proposal
    monkeypatch.setattr(round_history, "agreement_with_proposal", counting)
    assert round_figures(root, project, quiet) == before
    assert compared == []
    project = correct(root, project, "a", drawn(tmp_path, labels_in(2, 3)))
    assert round_figures(root, project, quiet) != before
    assert compared == ["a"]


@pytest.mark.parametrize("content", ["[", "[1]", '{"key": "much"}'])
def test_damaged_cache_is_made_anew(a_project, content):
    root, project = a_project
    project = accept(root, project, "a")
    before = round_figures(root, project, quiet)
    (cache,) = ProjectLayout(root).view.glob("*.json")
    good = cache.read_text()
    cache.write_text(content)

    assert round_figures(root, project, quiet) == before
    assert cache.read_text() == good


def test_progress_is_told(a_project):
    root, project = a_project
    for name in "abc":
        project = accept(root, project, name)
    told = []

    round_figures(root, project, lambda *words: told.append(words))

    assert [(done, total) for _, done, total in told] == [(0, 3), (1, 3), (2, 3)]
    assert all(text for text, _, _ in told)


def test_verdict_whose_files_are_gone_is_not_compared(a_project):
    root, project = a_project
    project = accept(root, accept(root, project, "a"), "b")
    ProjectLayout(root).proposal(0, "a").unlink()

    assert round_figures(root, project, quiet)[0].num_compared == 1


def test_figures_of_a_case_stay_when_it_is_used_otherwise(a_project):
    root, project = a_project
    project = accept(root, project, "a")
    before = round_figures(root, project, quiet)

    assert round_figures(root, set_role(root, project, ["a"], CaseRole.IGNORED), quiet) == before


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("evaluation.json", "{}"), ("evaluation.json", '{"summary": 3}'), ("evaluation.json", "["),
        ("evaluation.json", '{"summary": {"mean": {"dice": {"mean": null}}}, "cases": [1]}'),
        ("proposals/a.json", "{}"), ("proposals/a.json", "["),
    ],
)  # fmt: skip
def test_damaged_file_of_a_round_is_told(a_project, file, content):
    root, project = a_project
    (ProjectLayout(root).round_folder(0) / file).write_text(content)
    with pytest.raises(ProjectDamagedError):
        round_figures(root, project, quiet)
