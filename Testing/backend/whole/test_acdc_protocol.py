"""The ACDC benchmark: its splits, its recipes, and the arithmetic of its tables."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from PseudoLabelCLLib.command_line.settings import config_from_arguments
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.method_config import ContrastForm
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.profiles import config_for

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from acdc_protocol import (
    COMBINATIONS,
    DEVELOPMENT_TEST,
    PAPERS_TEST,
    UNLABELLED_LIST,
    Cell,
    ProtocolError,
    Recipe,
    Roles,
    cells_of,
    equal_time_factor,
    parse_method,
    roles_of,
    run_config,
    start_settings,
)
from acdc_result import dice_of_labels, spread
from acdc_statistics import Row, Run, estimate, gains, weak_and_strong

# Every volume that has a segmentation in the redistributed set.
WITH_TRUTH = (
    2, 3, 11, 13, 14, 15, 16, 22, 23, 31, 32, 33, 34, 35, 36, 42, 43, 51, 52, 53, 54, 55, 56, 62,
    63, 71, 72, 73, 74, 75, 76, 91, 92, 93, 94, 95, 96,
)  # fmt: skip
EVERY_COMBINATION = [(n, name) for n, known in COMBINATIONS.items() for name in known]


def a_cell(method="inter", recipe="paper", *, labelled=1, combination="c1", seed=0):
    return Cell(
        labelled, combination, parse_method(method), Recipe(recipe), Profile.QUICK, seed
    )  # fmt: skip


def a_run(method, dice, *, recipe="paper", combination="c1", seed=0):
    told = {"rounds": [{"test": {"dice": {"mean": dice}}}], "seconds": 60}
    return Run(Row("quick", recipe, method), 1, combination, seed, told)


@pytest.mark.parametrize(("labelled", "combination"), EVERY_COMBINATION)
@pytest.mark.parametrize("method", ["inter", "upper-bound"])
def test_no_patient_has_two_roles(labelled, combination, method):
    roles = roles_of(a_cell(method, labelled=labelled, combination=combination), WITH_TRUTH)
    groups = (roles.annotated, roles.validation, roles.unlabelled, roles.test)
    assert len(set().union(*groups)) == sum(map(len, groups))
    assert not set().union(*groups) & set(PAPERS_TEST)
    assert {*roles.annotated, *roles.validation, *roles.test} <= set(WITH_TRUTH)


def test_lists_are_as_long_as_published():
    assert len(set(UNLABELLED_LIST)) == 52
    assert len(set(PAPERS_TEST)) == 20
    assert len(set(DEVELOPMENT_TEST)) == 23
    assert [len(known) for known in COMBINATIONS.values()] == [5, 5, 3]
    for labelled, known in COMBINATIONS.items():
        assert all(len(set(annotated)) == labelled for annotated, _ in known.values())


@pytest.mark.parametrize(
    ("labelled", "combination", "unlabelled"),
    [
        (1, "c1", 51),  # less 002
        (1, "c2", 50),  # less 042 and 072, which validates
        (1, "c3", 52),  # 095 is not in the list
        (2, "c1", 49),  # less 042, 062 and 072
        (8, "c1", 45),  # 095 is not in the list
    ],
)
def test_unlabelled_are_the_published_ones_less_those_in_use(labelled, combination, unlabelled):
    roles = roles_of(a_cell(labelled=labelled, combination=combination), WITH_TRUTH)
    assert len(roles.unlabelled) == unlabelled


def test_upper_bound_annotates_whatever_truth_neither_validates_nor_tests():
    roles = roles_of(a_cell("upper-bound"), WITH_TRUTH)
    assert roles.annotated == (2, 3, 22, 23, 31, 42, 43, 62, 63, 72, 94, 95)


def test_a_patient_with_two_roles_is_refused():
    with pytest.raises(ProtocolError, match=r"\[2\] have two roles"):
        Roles((2,), (11,), (2, 3), (13,))


def test_a_patient_of_the_papers_test_is_refused():
    with pytest.raises(ProtocolError, match=r"\[7\] are the papers' test"):
        Roles((2,), (11,), (7,), (13,))


def test_eight_volumes_have_no_fourth_combination():
    with pytest.raises(ProtocolError, match="no combination c4 of 8"):
        a_cell(labelled=8, combination="c4")


@pytest.mark.parametrize("text", ["outer", "none:inter", ":inter", "inter:positional"])
def test_an_unknown_method_is_refused(text):
    with pytest.raises(ProtocolError, match="no method"):
        parse_method(text)


def test_a_method_can_stand_behind_a_pretraining():
    method = parse_method("global+local:inter")
    assert method.pretraining is Pretraining.GLOBAL_LOCAL
    assert method.name == "global+local:inter"


def test_a_plan_finishes_a_combination_before_the_next():
    methods = [parse_method("baseline"), parse_method("default")]
    cells = cells_of(
        methods, [Recipe.PAPER, Recipe.STRONG], Profile.QUICK,
        labelled=[2, 8], combinations=["c3", "c4"], seeds=[0],
    )  # fmt: skip
    told = [(c.combination, c.labelled, c.recipe.value, c.method.name) for c in cells]
    of_one = [("paper", "baseline"), ("strong", "baseline"), ("strong", "default")]
    assert told == [
        (combination, labelled, *row)
        for combination, labelled in [("c3", 2), ("c3", 8), ("c4", 2)]
        for row in of_one
    ]


def test_papers_recipe_is_theirs_but_for_steps_and_batches():
    quick, paper = config_for(Profile.QUICK), config_for(Profile.PAPER)
    config, _ = run_config(a_cell(), ())
    own = quick.training.supervised
    assert config.training.supervised == replace(
        paper.training.supervised, num_steps=own.num_steps, batch_size=own.batch_size
    )
    assert config.training.joint == replace(paper.training.joint, num_steps=300, batch_size=8)
    assert config.training.augmentation == paper.training.augmentation
    assert config.network == paper.network
    assert config.training.consistency.weight == 0
    assert config.preprocess == quick.preprocess


def test_default_is_the_profile_and_nothing_else():
    config, _ = run_config(a_cell("default", "strong"), ())
    assert config == config_for(Profile.QUICK)


@pytest.mark.parametrize("recipe", ["paper", "strong"])
@pytest.mark.parametrize(
    ("method", "contrastive", "pseudo"),
    [("baseline", False, 0), ("self-training", False, 1), ("intra", True, 0), ("inter", True, 0)],
)
def test_a_method_uses_its_own_losses_alone(recipe, method, contrastive, pseudo):
    training = run_config(a_cell(method, recipe), ())[0].training
    assert bool(training.contrastive.weight) == contrastive
    assert training.pseudo_label_weight == pseudo
    assert training.consistency.weight == 0
    assert training.copy_paste.weight == 0
    if method in ("intra", "inter"):
        assert training.contrastive.form is ContrastForm(method)


def test_baseline_has_as_many_more_steps_as_the_others_have_slices():
    inter = run_config(a_cell("inter", "paper"), ())[0].training
    baseline = run_config(a_cell("baseline", "paper"), ())[0].training
    views = 2 * inter.contrastive.num_pairs
    expected = inter.joint.num_steps * (inter.joint.batch_size + views) / inter.joint.batch_size
    assert baseline.joint.num_steps == round(expected) == 600
    assert baseline.joint.batch_size == inter.joint.batch_size == 8


def test_other_batches_can_be_chosen_for_the_published_methods():
    typed = ("training.joint.batch_size=6", "training.joint.num_steps=50")
    assert run_config(a_cell("inter"), typed)[0].training.joint.batch_size == 6
    assert run_config(a_cell("inter"), typed)[0].training.joint.num_steps == 50


def test_teacher_counts_for_a_third():
    training = config_from_arguments(
        "quick",
        (
            "training.joint.batch_size=8", "training.contrastive.weight=0",
            "training.consistency.num_slices=6", "training.copy_paste.weight=0",
        ),
    ).training  # fmt: skip
    nothing = replace(training, consistency=replace(training.consistency, weight=0))
    assert equal_time_factor(training, nothing) == pytest.approx((8 + 6 + 6 / 3) / 8)


def test_a_given_factor_decides_the_steps_of_the_baseline():
    config, _ = run_config(a_cell("baseline"), ("training.joint.num_steps=100",), 1.5)
    assert config.training.joint.num_steps == 150


def test_methods_share_round_0_but_recipes_seeds_and_pretrainings_do_not():
    first = start_settings(a_cell("inter"), ())
    assert start_settings(a_cell("baseline"), ()) == first
    assert start_settings(a_cell("inter", "strong"), ()) != first
    assert start_settings(a_cell("inter", seed=1), ()) != first
    assert start_settings(a_cell("positional:inter"), ()) != first


def test_settings_that_are_typed_reach_round_0_and_the_joint_rounds():
    typed = ("preprocess.in_plane_spacing_mm=2.5", "training.contrastive.weight=0.3")
    config, settings = run_config(a_cell(), typed)
    start = config_from_arguments("quick", start_settings(a_cell(), typed))
    assert config.preprocess.in_plane_spacing_mm == start.preprocess.in_plane_spacing_mm == 2.5
    assert config.training.contrastive.weight == 0.3
    assert config == config_from_arguments("quick", settings)


def test_settings_of_the_joint_rounds_alone_leave_round_0_as_it_is():
    typed = ("training.joint.batch_size=4", "preprocess.in_plane_spacing_mm=2.5")
    assert start_settings(a_cell(), typed) == start_settings(a_cell(), typed[1:])
    config, settings = run_config(a_cell(), typed)
    assert config.training.joint.batch_size == 4
    assert config == config_from_arguments("quick", settings)


def test_dice_of_labels_skips_what_neither_side_holds():
    ours, theirs = np.array([1, 1, 0, 3]), np.array([1, 0, 0, 0])
    assert dice_of_labels(ours, theirs, (1, 2, 3)) == {1: pytest.approx(2 / 3), 3: 0.0}


def test_spread_leaves_out_what_was_not_measured():
    told = spread([0.5, None, 0.7])
    assert told["mean"] == pytest.approx(0.6)
    assert told["sd"] == pytest.approx(math.sqrt(0.02))
    assert told["n"] == 2


def test_gain_is_paired_by_combination_and_seed():
    runs = [
        a_run("baseline", 0.5), a_run("inter", 0.6),
        a_run("baseline", 0.5, seed=1), a_run("inter", 0.8, seed=1),
        a_run("inter", 0.9, combination="c2"),  # its baseline is missing
        a_run("baseline", 0.1, combination="c2", recipe="strong"),  # of another recipe
        a_run("baseline", 0.7, combination="c3"), a_run("inter", 0.6, combination="c3"),
    ]  # fmt: skip
    found = gains(runs, Row("quick", "paper", "inter"), 1)
    assert found == {"c1": pytest.approx(0.2), "c3": pytest.approx(-0.1)}


def test_interval_is_students():
    found = estimate([0.01, 0.02, 0.03])
    # 97.5 % of t with two degrees of freedom: 4.3027
    reach = 4.3027 * 0.01 / math.sqrt(3)
    assert found.mean == pytest.approx(0.02)
    assert found.low == pytest.approx(0.02 - reach, abs=1e-5)
    assert found.high == pytest.approx(0.02 + reach, abs=1e-5)
    assert found.verdict == "undecided"


def test_one_run_has_no_interval():
    assert estimate([0.3]).verdict == "one run"


def test_a_gain_on_the_weak_baseline_alone_is_said():
    runs = []
    for combination, strong in (("c1", 0.01), ("c2", -0.01), ("c3", 0.0)):
        weak = 0.1 + strong / 10
        for recipe, gain in (("paper", weak), ("strong", strong)):
            where = {"recipe": recipe, "combination": combination}
            runs += [a_run("baseline", 0.6, **where), a_run("inter", 0.6 + gain, **where)]
    (sentence,) = weak_and_strong(runs, 1)
    assert "helps the weak baseline; on the strong one no gain is shown" in sentence
    assert "+0.100" in sentence


def test_a_method_on_one_recipe_alone_gets_no_sentence():
    assert weak_and_strong([a_run("baseline", 0.6), a_run("inter", 0.7)], 1) == []
