"""The benchmark of review: whose truth is known, what becomes human truth, what is told."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Review, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import review_effect
from review_effect import (
    Benchmark,
    Run,
    Service,
    corrections_of,
    open_slices,
    planned_runs,
    review_round,
)
from review_effect_data import (
    HIPPOCAMPUS_TEST,
    acdc,
    halves,
    hippocampus,
    spread,
)
from review_effect_plot import (
    STYLES,
    doubt_correlations,
    lines_of,
    table_of,
    write_plot,
)
from simulated_clinician import Strategy, counted
from whole_loop import Dataset

GRID = Geometry((7, 6, 4), (1.0, 1.0, 8.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
SCHEMA = LabelSchema.from_values((1, 2))


def test_pace_is_set_before_it_is_kept_to():
    runs = planned_runs([3, 3], [10, 20], [Strategy.RANDOM_SLICES, Strategy.NONE])

    assert [run.name for run in runs] == [
        "seed3-none",
        "seed3-doubt-cases-10",
        "seed3-random-slices-10",
        "seed3-doubt-cases-20",
        "seed3-random-slices-20",
    ]


def test_clinician_knows_no_volume_that_tests_or_selects(tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for number in (*HIPPOCAMPUS_TEST, 1, 2, 3):
        (tmp_path / "images" / f"hippocampus_{number:03d}.nii.gz").touch()
    for number in HIPPOCAMPUS_TEST:
        (tmp_path / "labels" / f"hippocampus_{number:03d}.nii.gz").touch()

    for dataset, pool in (acdc(4), hippocampus(tmp_path, 2)):
        used = (*dataset.annotated, *dataset.validation, *dataset.unlabelled, *dataset.test)
        assert len(used) == len(set(used))
        assert set(pool) <= set(dataset.unlabelled)
    assert len(acdc(4)[0].unlabelled) == len(acdc(4)[1]) + 4
    assert set(hippocampus(tmp_path, 2)[0].unlabelled) - set(hippocampus(tmp_path, 2)[1]) == {1, 2}


def test_halves_are_the_same_again_and_make_the_whole():
    first, second = halves(HIPPOCAMPUS_TEST, 0)

    assert (first, second) == halves(HIPPOCAMPUS_TEST, 0) != halves(HIPPOCAMPUS_TEST, 1)
    assert sorted((*first, *second)) == sorted(HIPPOCAMPUS_TEST)
    assert len(first) == len(second)


def test_further_volumes_are_spread_over_the_list():
    assert spread(list(range(10)), 5) == (0, 2, 4, 6, 8)
    assert spread([1, 2], 0) == ()
    with pytest.raises(SystemExit, match="there are 2 further volumes"):
        spread([1, 2], 3)


def test_slices_confirmed_in_this_round_are_open_still():
    case = Case("001", CaseRole.UNLABELLED, "001.nii", GRID)
    reviews = (
        Review("001", 0, Verdict.CORRECTED, "a.seg.nrrd", (1,)),
        Review("001", 1, Verdict.CORRECTED, "b.seg.nrrd", (2, 3)),
    )
    project = Project("p", SCHEMA, config_for(Profile.QUICK), (case,), (), reviews)

    assert [open_slices(project, "001", index) for index in (0, 1, 2)] == [
        (0, 1, 2, 3),
        (0, 2, 3),
        (0,),
    ]
    assert corrections_of(project, 1) == {"001": (2, 3)}


POOL = (1, 2, 3)
DOUBT_PER_SLICE = {1: (0.1, 0.2, 0.3, 0.4), 2: (0.9, 0.8, 0.0, 0.1), 3: (0.0, 0.7, 0.0, 0.0)}


def hidden_truth(number):
    array = np.zeros(GRID.array_shape, np.int16)
    array[:, 1:4, 1 : 2 + number] = 1
    array[1:3, 4:6, 2:5] = 2
    return array


def proposed(number):
    """Right for volume 1; the others lack the second structure."""
    array = hidden_truth(number)
    return array if number == 1 else np.where(array == 2, 0, array).astype(np.int16)


@pytest.fixture(scope="module")
def a_made_service(tmp_path_factory):
    output = tmp_path_factory.mktemp("service")
    dataset = Dataset("{:03d}.nii.gz", (), (), POOL, (), "")
    service = Service(
        Benchmark("phantoms", dataset, POOL, "quick", (), 1, 0.9), output, output, "cpu"
    )
    cases = tuple(Case(f"{n:03d}", CaseRole.UNLABELLED, f"../{n}.nii", GRID) for n in POOL)
    project = Project(
        "p", SCHEMA, config_for(Profile.QUICK), cases, (Round(0, RoundState.IN_REVIEW),)
    )
    root = service.project("start")
    create_project(root, project)
    layout = ProjectLayout(root)
    (output / "labels").mkdir()
    for n in POOL:
        truth, pseudo = (LabelVolume(a, GRID) for a in (hidden_truth(n), proposed(n)))
        write_segmentation(dataset.label(output, n), truth, SCHEMA)
        write_segmentation(layout.proposal(0, f"{n:03d}"), pseudo, SCHEMA)
        doubt = Doubt(n / 4, 1 - n / 4, DOUBT_PER_SLICE[n], "made up")
        write_json(layout.doubt(0, f"{n:03d}"), {"schema_version": 1, **to_json(doubt)})
    return service


@pytest.fixture
def a_service(a_made_service, tmp_path, monkeypatch):
    """A round in review whose commands run in this process."""
    service = replace(
        a_made_service, output=shutil.copytree(a_made_service.output, tmp_path / "service")
    )

    def command(*words):
        assert main([str(word) for word in words]) == 0

    monkeypatch.setattr(review_effect, "_command", command)
    return service


def reviewed(service, run, times=1):
    root = service.project(run.name)
    if not root.exists():
        shutil.copytree(service.project("start"), root)
    for _ in range(times):
        review_round(service, run, load_project(root))
    return load_project(root)


def keep_pace(service, num_cases, num_slices):
    """The result that the pace is read from."""
    learned = {"new_cases": num_cases, "new_slices": num_slices}
    (service.output / "runs").mkdir()
    write_json(service.result("seed0-doubt-cases-4"), {"rounds": [{}, learned]})


def test_chosen_slices_become_human_truth_and_nothing_else_does(a_service):
    keep_pace(a_service, 1, 3)

    project = reviewed(a_service, Run(0, Strategy.DOUBT_SLICES, 4))

    assert corrections_of(project, 0) == {"002": (0, 1), "003": (1,)}
    layout = ProjectLayout(a_service.project("seed0-doubt-slices-4"))
    for review in project.reviews:
        stored = read_segmentation(layout.resolve(review.segmentation), SCHEMA)[0].array
        truth, proposal = hidden_truth(int(review.case_id)), proposed(int(review.case_id))
        for index in range(len(stored)):
            source = truth if index in review.truth_slices else proposal
            assert np.array_equal(stored[index], source[index])


@pytest.mark.long
def test_most_doubtful_case_is_corrected_whole(a_service):
    project = reviewed(a_service, Run(0, Strategy.DOUBT_CASES, 4))

    assert corrections_of(project, 0) == {"003": (0, 1, 2, 3)}
    assert project.is_wholly_true("003")


@pytest.mark.long
def test_interrupted_review_repeated_is_the_same_review(a_service):
    keep_pace(a_service, 1, 5)
    run = Run(0, Strategy.RANDOM_SLICES, 4)

    once = corrections_of(reviewed(a_service, run), 0)

    assert counted(once).num_slices == 5
    assert corrections_of(reviewed(a_service, run, times=2), 0) == once


def test_only_good_proposals_are_accepted(a_service):
    project = reviewed(a_service, Run(0, Strategy.ACCEPT_GOOD, None))

    assert [(r.case_id, r.verdict) for r in project.reviews] == [("001", Verdict.ACCEPTED)]


def test_unreviewed_strategy_reviews_nothing(a_service):
    assert reviewed(a_service, Run(0, Strategy.NONE, None)).reviews == ()


def a_record(strategy, seed, dice, *, budget=None, slices=(0, 0)):
    """Two rounds with two test volumes that lie .1 apart around the mean."""
    rounds = [
        {
            "round": index,
            "slices_in_all": slices[index],
            "accepted": [],
            "mean_dice": mean,
            "dice": {"a": mean - 0.05, "b": mean + 0.05},
            "proposals": {
                "x": {"doubt": 0.1, "dice": 0.9},
                "y": {"doubt": 0.4, "dice": 0.5},
                "z": {"doubt": 0.2, "dice": 0.7},
            },
        }
        for index, mean in enumerate(dice)
    ]
    return {"strategy": strategy, "seed": seed, "budget": budget, "rounds": rounds}


RECORDS = [
    a_record("doubt-slices", 1, (0.5, 0.9), budget=10, slices=(0, 11)),
    a_record("doubt-slices", 0, (0.6, 0.7), budget=10, slices=(0, 9)),
    a_record("none", 0, (0.6, 0.65)),
    a_record("none", 1, (0.5, 0.6)),
    a_record("accept-good", 2, (0.4, 0.5)),
]


def test_gain_is_against_no_review_of_the_same_seed():
    lines = {line.strategy: line for line in lines_of(RECORDS)}

    assert lines["doubt-slices"].gain == pytest.approx(np.array([[0, 0.05], [0, 0.3]]))
    assert lines["doubt-slices"].slices.tolist() == [[0, 9], [0, 11]]
    assert lines["doubt-slices"].better[:, 1].tolist() == [1, 1]
    assert lines["accept-good"].gain.shape == (0, 2)


def test_table_shows_means_spread_and_gain():
    table = table_of(RECORDS)

    row = next(line for line in table.splitlines() if line.startswith("| doubt-slices"))
    # sd of 0.6 and 0.5: 0.1 / sqrt(2); of 0.7 and 0.9: 0.2 / sqrt(2)
    assert row == ("| doubt-slices | 10 | 2 | 10 | 0.550 (0.071) | 0.800 (0.141) | +0.175 | 100% |")
    unreviewed = next(line for line in table.splitlines() if line.startswith("| none"))
    assert unreviewed.endswith("| - | - |")


def test_doubt_that_orders_cases_by_their_error_correlates_fully():
    assert doubt_correlations(RECORDS) == pytest.approx([1.0] * 3)
    flat = a_record("none", 0, (0.6, 0.65))
    for proposal in flat["rounds"][0]["proposals"].values():
        proposal["doubt"] = 1.0
    assert doubt_correlations([flat]) == []


@pytest.mark.long
def test_every_finished_strategy_is_in_the_picture(tmp_path):
    write_plot(tmp_path / "some.png", RECORDS, "phantoms")

    pixels = np.asarray(Image.open(tmp_path / "some.png").convert("RGB")).reshape(-1, 3)
    colors = {tuple(color) for color in np.unique(pixels, axis=0).tolist()}
    drawn = {name for name, (color, *_) in STYLES.items() if rgb(color) in colors}
    assert drawn == {"none", "accept-good", "doubt-slices"}


def rgb(color):
    return tuple(bytes.fromhex(color.removeprefix("#")))
