"""The paired benchmark: who does what, which arms share a round 0, and what its table says."""

import sys
from pathlib import Path

import pytest
from scipy import stats

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from acdc_protocol import PAPERS_TEST
from paired import Arm, paired_differences, table_rows
from paired_data import DATA_SETS


@pytest.fixture
def data(tmp_path):
    """A folder with an image for every number that a data set might have, some with labels."""

    def make(name, labelled):
        data_set = DATA_SETS[name]
        for folder, numbers in (("images", range(400)), ("labels", labelled)):
            (tmp_path / folder).mkdir()
            for number in numbers:
                (tmp_path / folder / data_set.pattern.format(number)).touch()
        return data_set, tmp_path

    return make


def result(arm, combination, seed, *dice, cpu_seconds=60.0):
    return {
        "arm": arm, "data_set": "hearts", "combination": combination, "seed": seed,
        "measured": [{"dice": value} for value in dice], "cpu_seconds": cpu_seconds,
        "peak_memory_gb": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("name", DATA_SETS)
def test_no_volume_is_learned_from_and_measured(name, data):
    data_set, folder = data(name, range(400))
    for combination, annotated in data_set.combinations.items():
        unlabelled = data_set.without_labels(folder, combination)
        assert unlabelled
        assert not {*annotated, *data_set.validation} & {*unlabelled, *data_set.test}
        choosing = data_set.choosing(folder, combination)
        assert not {*annotated, *data_set.validation, *data_set.test} & {*choosing}
        assert not {*unlabelled} & {*data_set.test}


def test_hearts_of_the_papers_test_are_never_touched(data):
    data_set, folder = data("hearts", [n for n in range(1, 101) if n not in PAPERS_TEST])
    for combination, annotated in data_set.combinations.items():
        used = {*annotated, *data_set.validation, *data_set.test}
        used |= {*data_set.without_labels(folder, combination)}
        assert not (used | {*data_set.choosing(folder, combination)}) & {*PAPERS_TEST}


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        (("training.joint.num_steps=30", "training.consistency.weight=0"), ()),
        (
            ("training.contrastive.weight=0.1", "preprocess.dimension=3"),
            ("preprocess.dimension=3",),
        ),
        (("training.supervised.num_steps=9",), ("training.supervised.num_steps=9",)),
        (("pseudo_label.num_augmented_copies=1",), ("pseudo_label.num_augmented_copies=1",)),
    ],
)
def test_arms_share_round_0_unless_they_change_what_it_sees(settings, seen):
    assert Arm("a", settings).of_the_start == seen


def test_differences_are_taken_within_pairs_alone():
    results = [
        result("now", "c1", 0, 0.5, 0.70), result("new", "c1", 0, 0.5, 0.72),
        result("now", "c2", 0, 0.5, 0.60), result("new", "c2", 0, 0.5, 0.65),
        result("new", "c3", 0, 0.5, 0.99),
    ]  # fmt: skip
    assert paired_differences(results, "new", "now") == pytest.approx([0.02, 0.05])


def test_table_has_the_interval_of_students_t_and_the_ratio_of_processor_times():
    gains = (0.01, 0.03, 0.02)
    results = [
        one
        for seed, gain in enumerate(gains)
        for one in (
            result("now", "c1", seed, 0.4, 0.5, cpu_seconds=600),
            result("new", "c1", seed, 0.4, 0.5 + gain, cpu_seconds=300),
        )
    ]
    first, second = table_rows(results, ["now", "new"])
    low, high = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert first == ("now", "3", "0.400 0.500", "", "10.0", "1.00", "1.0")
    assert second[3] == f"+0.020 ({low:+.3f} to {high:+.3f}), 3 of 3 up"
    assert second[4:6] == ("5.0", "0.50")
