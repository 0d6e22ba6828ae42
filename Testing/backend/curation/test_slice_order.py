"""Finding volumes whose slices run the other way."""

from dataclasses import replace

import numpy as np
from learning_doubles import IDENTITY, grid

from PseudoLabelCLLib.curation.check.check_slice_order import needs_order, order_findings
from PseudoLabelCLLib.curation.check.slice_order import (
    SlicedVolume,
    against_most,
    find_slice_order,
    profile_of,
)
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import KeptAnswer
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.segmentation import LabelSchema

UPSIDE_DOWN = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
# 30 degrees about the first axis, and the same with the slicing axis reversed
TILTED = (1.0, 0.0, 0.0, 0.0, 0.8660254, -0.5, 0.0, 0.5, 0.8660254)
TILTED_DOWN = (1.0, 0.0, 0.0, 0.0, 0.8660254, 0.5, 0.0, 0.5, -0.8660254)


def cone(seed, num_slices=12, direction=IDENTITY, *, is_reversed=False, is_even=False):
    """A bright body that grows from slice to slice (or is the same in all), with noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((48, 48))
    images = []
    for place in (np.arange(num_slices) + 0.5) / num_slices:
        row, column = 24 + rng.uniform(-1, 1, 2)
        radius = 8 if is_even else 1 + 7 * place + rng.uniform(-0.2, 0.2)
        body = np.hypot(rows - row, columns - column) < radius
        # the coil's shading differs between patients
        shading = 1 + rng.uniform(-0.1, 0.1) * place
        images.append(shading * (body + rng.normal(0, 0.1, body.shape)))
    stack = np.array(images, np.float32)
    geometry = grid((48, 48, num_slices), direction=direction)
    return SlicedVolume(
        f"case {seed}", geometry, 2, profile_of(stack[::-1] if is_reversed else stack)
    )


def cones(num=8, reversed_ones=(), **changes):
    return [cone(n, 8 + n, is_reversed=n in reversed_ones, **changes) for n in range(num)]


def test_reversed_contents_are_found():
    assert find_slice_order(cones(reversed_ones=(2, 5))).reversed_content == ("case 2", "case 5")


def test_volumes_in_one_order_stay():
    order = find_slice_order(cones())
    assert (order.reversed_content, order.doubtful) == ((), ())


def test_volumes_that_look_alike_from_both_ends_stay():
    order = find_slice_order(cones(is_even=True))
    assert order.reversed_content == ()


def by_header(volumes):
    return against_most([(one.case_id, one.geometry, one.slicing_axis) for one in volumes])


def test_headers_against_the_majority_are_turned_and_nothing_is_asked():
    volumes = cones(6, is_even=True)
    volumes[1] = replace(volumes[1], geometry=replace(volumes[1].geometry, direction=UPSIDE_DOWN))
    assert by_header(volumes) == ("case 1",)
    assert find_slice_order(volumes).reversed_content == ()


def test_reversed_file_with_its_own_header_is_turned_once():
    volumes = cones(6, reversed_ones=(3,))
    volumes[3] = replace(volumes[3], geometry=replace(volumes[3].geometry, direction=UPSIDE_DOWN))
    order = find_slice_order(volumes)
    assert (order.reversed_content, order.doubtful) == ((), ())
    assert by_header(volumes) == ("case 3",)


def test_oblique_header_is_taken_at_its_word_and_doubted():
    volumes = [cone(n, direction=TILTED, is_reversed=n == 4) for n in range(7)]
    order = find_slice_order(volumes)
    assert (order.reversed_content, order.doubtful) == ((), ("case 4",))


def test_oblique_headers_are_compared_along_their_common_direction():
    volumes = [cone(n, direction=TILTED_DOWN if n == 2 else TILTED, is_even=True) for n in range(5)]
    assert by_header(volumes) == ("case 2",)


def test_volume_sliced_along_another_axis_is_doubtful():
    volumes = cones(5, is_even=True)
    volumes[0] = replace(volumes[0], geometry=replace(volumes[0].geometry, direction=SAGITTAL))
    order = find_slice_order(volumes)
    assert (order.reversed_content, order.doubtful) == ((), ("case 0",))


def test_of_two_volumes_the_first_decides():
    assert find_slice_order([cone(0), cone(1, is_reversed=True)]).reversed_content == ("case 1",)


def test_one_volume_and_very_short_ones_have_no_order():
    assert find_slice_order([cone(0)]).reversed_content == ()
    assert find_slice_order([cone(n, num_slices=2) for n in range(4)]).reversed_content == ()


def test_content_against_a_header_that_cannot_tell_is_a_question_until_it_is_answered():
    volumes = cones(reversed_ones=(2, 5))
    config = config_for(Profile.QUICK)
    positional = replace(config.pretraining, method=Pretraining.POSITIONAL)
    cases = tuple(
        Case(one.case_id, CaseRole.UNLABELLED, f"{one.case_id}.nrrd", one.geometry)
        for one in volumes
    )
    project = Project(
        "p", LabelSchema.from_values((1,)), replace(config, pretraining=positional), cases
    )
    assert all(needs_order(project, case) for case in cases)
    assert not needs_order(replace(project, config=config), cases[0])
    found = list(order_findings(project, volumes))
    assert [(f.case_id, f.severity) for f in found] == [
        ("case 2", "question"),
        ("case 5", "question"),
    ]
    answer = KeptAnswer(QuestionKind.SLICE_ORDER, "reversed", "")
    project = project.with_case(project.case("case 2").with_answers([answer]))
    assert [f.case_id for f in order_findings(project, volumes)] == ["case 5"]
