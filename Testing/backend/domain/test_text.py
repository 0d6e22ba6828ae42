"""A text is an ordinary string that remembers its pattern and its values."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.text import (
    DEEPEST,
    LONGEST_TEXT,
    NO_TEXT,
    Text,
    counted,
    filled,
    joined,
    listed,
)


def test_a_text_is_the_finished_sentence():
    text = Text("'{file}' has {count:,} slices, {part:.1%} of {whole!r}.", file="a.nii", count=1200,
                part=0.5, whole="b")  # fmt: skip
    assert text == "'a.nii' has 1,200 slices, 50.0% of 'b'."
    assert type(str(text)) is str
    assert text.values == {"file": "a.nii", "count": "1,200", "part": "50.0%", "whole": "'b'"}


def test_a_text_without_values_is_written_as_it_stands():
    assert Text("Answer {x} or }.") == "Answer {x} or }."


def test_a_text_in_a_text_keeps_its_own_pattern():
    inner = Text("{file} is empty", file="a")
    outer = Text("Nothing was read: {reason}.", reason=inner)
    assert outer == "Nothing was read: a is empty."
    assert outer.values["reason"].pattern == "{file} is empty"


def test_an_error_says_both_of_its_texts():
    error = VolumeError(Text("'{file}' is damaged.", file="a"), Text("Copy it again."))
    assert str(error) == "'a' is damaged. Copy it again."
    assert error.message.pattern == "'{file}' is damaged."


@pytest.mark.parametrize("again", [copy.deepcopy, lambda text: pickle.loads(pickle.dumps(text))])
def test_a_copy_is_the_same_text(again):
    text = again(Text("{file} {why}", file="{a}", why=Text("is {b}", b=1)))
    assert (text, text.pattern) == ("{a} is 1", "{file} {why}")
    assert text.values["why"].values == {"b": "1"}


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ("{a.__class__}", {"a": 1}),
        ("{a[0]}", {"a": "x"}),
        ("{}", {"a": 1}),
        ("{0}", {"a": 1}),
        ("{a", {"a": 1}),
        ("no place", {"a": 1}),
        ("{a} {a:.1f}", {"a": 1.25}),
    ],
)
def test_a_pattern_that_does_not_fit_its_values_fails_where_it_is_written(pattern, values):
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own words for some of them
        Text(pattern, **values)
    with pytest.raises(KeyError):
        Text("{b}", a=1)


def test_one_thing_and_several_have_a_pattern_each():
    patterns = (
        "{count} voxel of '{file}' lies outside.",
        "{count} voxels of '{file}' lie outside.",
    )
    assert counted(1, *patterns, file="a") == "1 voxel of 'a' lies outside."
    assert counted(2, *patterns, file="a") == "2 voxels of 'a' lie outside."
    assert counted(0, "one", "{count:,} things").values == {"count": "0"}


def test_several_texts_one_after_the_other_are_translated_each_by_itself():
    texts = joined(Text("One {a}.", a=1), NO_TEXT, Text("Two."))
    assert texts == "One 1. Two."
    assert [type(part) for part in texts.values.values()] == [Text, Text]
    assert joined(NO_TEXT, Text("One {a}.", a=1)).pattern == "One {a}."
    assert joined() == ""
    assert listed(["a", Text("{b}", b="{c}")]) == "a, {c}"


@given(st.text(), st.dictionaries(st.sampled_from(["a", "b"]), st.text()))
def test_whatever_another_process_sends_is_a_text_or_refused(pattern, values):
    try:
        text = Text.received(pattern, values)
    except ValueError:
        return
    assert text == (filled(pattern, values) if values else pattern)


@pytest.mark.parametrize(
    "pattern",
    ["{a.__class__.__mro__}", "{a[0]}", "{}", "{0}", "{a!r.real}", "{", "}", "{a}{b}", "{a b}", ""],
)
def test_a_pattern_that_reaches_for_more_than_its_values_is_refused(pattern):
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own words for some of them
        Text.received(pattern, {"a": "x"})


def test_formats_of_a_received_pattern_are_not_carried_out():
    assert Text.received("{a:>999999999}{a!r}", {"a": "x"}) == "xx"
    assert Text.received("{a:{a}}", {"a": "x"}) == "x"


def test_texts_that_grow_or_nest_without_end_are_refused():
    deep = Text("{a}", a="x")
    for _ in range(DEEPEST):
        deep = Text("{a}", a=deep)
    with pytest.raises(ValueError, match="longer"):
        Text.received("{a}", {"a": deep})
    long = "x" * (LONGEST_TEXT // 2)
    with pytest.raises(ValueError, match="longer"):
        Text.received("{a}" * 3, {"a": long})
    with pytest.raises(ValueError, match="longer"):
        Text.received("{a}" + "x" * 4000, {"a": ""})
