"""Doubt: 0 for copies that agree, 1 for nothing found, and always a reason."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import SCHEMA

from PseudoLabelCLLib.learning.copies import UNSEEN_CLASS
from PseudoLabelCLLib.learning.inference import MostLikely
from PseudoLabelCLLib.pipeline.prediction import rank_for_review
from PseudoLabelCLLib.pipeline.prediction.rank_for_review import doubt_per_slice

SHAPE = (4, 16, 16)
NAMES = ("k = 3", "k = 2", "k = 1", "k = 0")


def doubt_of(prediction, schema, names, per_slice=(0.1, 0.2, 0.5, 0.0)):
    return rank_for_review.doubt_of(prediction, schema, np.array(per_slice), names)


def prediction_of(mean, copies):
    return MostLikely(mean, np.array(copies, dtype=np.uint8))


def square(size=8, value=1, slices=slice(None)):
    classes = np.zeros(SHAPE, np.uint8)
    classes[slices, 2 : 2 + size, 3 : 3 + size] = value
    return classes


def test_copies_that_agree_leave_no_doubt():
    classes = square()
    classes[:, 4:6, 4:6] = 2
    doubt = doubt_of(prediction_of(classes, [classes] * 3), SCHEMA, NAMES)
    assert doubt.doubt == 0
    assert doubt.agreement == 1


def test_nothing_found_is_full_doubt_and_says_so():
    empty = np.zeros(SHAPE, np.uint8)
    doubt = doubt_of(prediction_of(empty, [empty, empty]), SCHEMA, NAMES)
    assert doubt.doubt == 1
    assert doubt.agreement == 0
    assert doubt.doubt_per_slice == (1.0,) * 4
    assert doubt.reason == "Nothing was found in this volume."


def test_agreement_is_the_mean_dice_of_copies_and_structures():
    mean = square(8)
    copies = [square(8), square(4)]  # Dice 1, and 2 * 16 / (64 + 16) = 0.4 in every slice
    doubt = doubt_of(prediction_of(mean, copies), SCHEMA, NAMES)
    assert doubt.agreement == pytest.approx(0.7)
    assert doubt.doubt == pytest.approx(0.3)


def test_what_a_copy_does_not_see_is_no_disagreement():
    mean, half_seen = square(8), square(8)
    half_seen[:, 6:] = UNSEEN_CLASS  # the lower half of the square lies outside that copy
    doubt = doubt_of(prediction_of(mean, [mean, half_seen]), SCHEMA, NAMES)
    assert doubt.agreement == 1


def test_copies_are_compared_on_what_they_see():
    copy = square(4)  # of the 8 x 8 square, 4 rows are seen: 4 x 4 of 4 x 8 is found
    copy[:, 6:] = UNSEEN_CLASS
    doubt = doubt_of(prediction_of(square(8), [copy]), SCHEMA, NAMES)
    assert doubt.agreement == pytest.approx(2 * 16 / (32 + 16))


def test_structure_that_is_nowhere_does_not_count_but_is_told():
    doubt = doubt_of(prediction_of(square(), [square()] * 2), SCHEMA, NAMES)
    assert doubt.doubt == 0
    assert "Nothing was found of 'label 4'" in doubt.reason


def test_structure_only_in_a_copy_counts_as_disagreement():
    copy = square()
    copy[:, 12:14, 12:14] = 2
    doubt = doubt_of(prediction_of(square(), [square(), copy]), SCHEMA, NAMES)
    assert doubt.agreement == pytest.approx(0.5)  # class 1: 1; class 2: 0


def test_reason_names_the_weakest_structure_and_the_worst_slice():
    mean = square()
    mean[:, 4:6, 4:6] = 2
    copy = mean.copy()
    copy[2, 4:6, 4:6] = 1
    doubt = doubt_of(prediction_of(mean, [mean, copy]), SCHEMA, NAMES)
    assert "least on 'label 4'" in doubt.reason
    assert "Look at the slice k = 1 first." in doubt.reason
    assert doubt.doubt_per_slice == (0.1, 0.2, 0.5, 0.0)


def test_a_slice_is_as_doubtful_as_its_uncertain_voxels_are_many():
    classes = square(8, slices=slice(0, 3))  # 64 voxels in each of three slices
    uncertainty = np.zeros(SHAPE, np.float32)
    uncertainty[1, :4, :8] = 0.5  # 32 voxels
    uncertainty[3, 0, :4] = 1.0  # all that there is in the last slice, but 4 voxels
    np.testing.assert_allclose(doubt_per_slice(classes, uncertainty), [0, 16 / 64, 0, 4 / 64])


def test_where_more_is_uncertain_than_there_are_structures_the_worst_slice_is_full_doubt():
    uncertainty = np.full(SHAPE, 0.25, np.float32)
    uncertainty[2] = 0.5
    found = doubt_per_slice(square(2, slices=slice(0, 1)), uncertainty)
    np.testing.assert_allclose(found, [0.5, 0.5, 1, 0.5])
    assert not doubt_per_slice(np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.float32)).any()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), share=st.sampled_from((0.0, 0.02, 0.5, 1.0)))
def test_scores_lie_between_zero_and_one_whatever_the_copies_say(seed, share):
    rng = np.random.default_rng(seed)
    copies = rng.integers(0, 3, (3, *SHAPE)) * (rng.random((3, *SHAPE)) < share)
    mean = rng.integers(0, 3, SHAPE).astype(np.uint8)
    doubt = doubt_of(prediction_of(mean, copies), SCHEMA, NAMES)
    scores = (doubt.doubt, doubt.agreement, *doubt.doubt_per_slice)
    assert all(0 <= score <= 1 for score in scores)
    assert doubt.doubt + doubt.agreement == pytest.approx(1)
    assert len(doubt.doubt_per_slice) == SHAPE[0]
    assert doubt.reason


@settings(deadline=None, max_examples=20)
@given(sizes=st.tuples(st.integers(1, 8), st.integers(1, 8)))
def test_more_disagreement_is_more_doubt(sizes):
    nearer, farther = max(sizes), min(sizes)
    mean = square(9)
    doubts = [
        doubt_of(prediction_of(mean, [mean, square(size)]), SCHEMA, NAMES).doubt
        for size in (nearer, farther)
    ]
    assert doubts[0] <= doubts[1]
