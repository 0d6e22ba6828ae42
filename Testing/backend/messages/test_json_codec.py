"""Dataclasses and JSON are translated strictly, both ways."""

import contextlib
import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from PseudoLabelCLLib.domain.config import Profile, ProjectConfig
from PseudoLabelCLLib.domain.errors import ProjectDamagedError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.text import LONGEST_TEXT, Text
from PseudoLabelCLLib.messages.json_codec import from_json, parse_json, to_json, to_message


class Color(Enum):
    RED = "red"
    ONE = 1


@dataclass(frozen=True)
class Leaf:
    number: float
    color: Color = Color.RED


@dataclass(frozen=True)
class Tree:
    name: str
    count: int
    flag: bool
    leaf: Leaf
    leaves: tuple[Leaf, ...] = ()
    pair: tuple[int, str] = (0, "")
    maybe: float | None = None
    table: dict[str, tuple[float, ...]] = field(default_factory=dict)
    mode: Literal["fast", "slow"] = "fast"


A_TREE = {"name": "t", "count": 1, "flag": True, "leaf": {"number": 2}}


def _leaves():
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    return st.builds(Leaf, number=numbers, color=st.sampled_from(Color))


def _trees():
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    return st.builds(
        Tree,
        name=st.text(),
        count=st.integers(),
        flag=st.booleans(),
        leaf=_leaves(),
        leaves=st.lists(_leaves(), max_size=3).map(tuple),
        pair=st.tuples(st.integers(), st.text()),
        maybe=st.none() | numbers,
        table=st.dictionaries(st.text(), st.lists(numbers, max_size=3).map(tuple), max_size=3),
        mode=st.sampled_from(["fast", "slow"]),
    )


@given(_trees())
def test_any_dataclass_comes_back_equal_through_json_text(tree):
    text = json.dumps(to_json(tree), ensure_ascii=True, allow_nan=False)
    assert from_json(Tree, parse_json(text.encode(), "t"), "t") == tree


@pytest.mark.parametrize("profile", list(Profile))
def test_every_profile_comes_back_equal(profile):
    config = config_for(profile)
    assert from_json(ProjectConfig, to_json(config), "project.json") == config


def test_whole_number_is_read_as_a_float_where_a_float_is_expected():
    number = from_json(Leaf, {"number": 2}, "x").number
    assert number == 2.0
    assert isinstance(number, float)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": True}, "x, count must be a whole number; it is true"),
        ({"count": 1.0}, "x, count must be a whole number"),
        ({"count": None}, "x, count"),
        ({"flag": 1}, "x, flag must be true or false"),
        ({"name": 1}, "x, name must be text"),
        ({"leaf": {"number": True}}, "x, leaf, number must be a number"),
        ({"leaf": {"number": float("nan")}}, "x, leaf, number must be a finite number"),
        ({"leaf": {"number": float("inf")}}, "x, leaf, number must be a finite number"),
        ({"leaf": {"number": "1"}}, "x, leaf, number"),
        ({"leaf": {}}, "x, leaf lacks number"),
        ({"leaf": []}, "x, leaf must be an object"),
        ({"leaf": {"number": 1, "color": "blue"}}, "x, leaf, color must be one of 'red', 1"),
        ({"leaf": {"number": 1, "color": True}}, "x, leaf, color must be one of"),
        ({"leaves": [{"number": 1}, {"number": ""}]}, r"x, leaves\[1\], number"),
        ({"leaves": {}}, "x, leaves must be a list"),
        ({"pair": [1]}, "x, pair must be a list of 2"),
        ({"maybe": "1"}, "x, maybe must be a number"),
        ({"table": {"a": [1, "b"]}}, r"x, table, a\[1\] must be a number"),
        ({"mode": "idle"}, "x, mode must be one of 'fast', 'slow'"),
        ({"extra": 1}, "x holds unknown fields: extra"),
    ],
)
def test_wrong_field_is_named(change, words):
    with pytest.raises(ProjectDamagedError, match=words):
        from_json(Tree, {**A_TREE, **change}, "x")


def test_missing_field_with_a_default_takes_it():
    assert from_json(Tree, A_TREE, "x") == Tree("t", 1, flag=True, leaf=Leaf(2.0))


def test_contradicting_values_are_damage_and_the_place_is_named():
    value = to_json(Geometry((1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    value["size"] = [0, 1, 1]
    with pytest.raises(ProjectDamagedError, match=r"x: .*no voxels") as caught:
        from_json(Geometry, value, "x")
    assert isinstance(caught.value.__cause__, VolumeError)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_number_that_json_cannot_hold_is_not_written(value):
    with pytest.raises(ValueError, match="finite"):
        to_json(Leaf(value))


def test_thing_without_json_form_is_not_written():
    with pytest.raises(TypeError, match="no JSON form"):
        to_json({"a": object()})
    with pytest.raises(TypeError, match="names are text"):
        to_json({1: "a"})


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(data):
    with contextlib.suppress(ProjectDamagedError):  # any other error fails
        parse_json(data, "x")


@dataclass(frozen=True)
class Told:
    found: Text
    more: tuple[Text, ...] = ()
    maybe: Text | None = None
    kept: str = ""


def test_a_text_keeps_its_pattern_where_a_field_is_one_and_is_plain_elsewhere():
    text = Text("{count:,} files, {why}", count=1234, why=Text("such as '{file}'", file="a"))
    written = to_message(Told(text, (Text("Done."),), text, text))
    assert written == {
        "found": {
            "pattern": "{count:,} files, {why}",
            "values": {
                "count": "1,234",
                "why": {"pattern": "such as '{file}'", "values": {"file": "a"}},
            },
        },
        "more": ["Done."],
        "maybe": written["found"],
        "kept": "1,234 files, such as 'a'",
    }
    read = from_json(Told, written, "t")
    assert (read.found, read.found.pattern) == (text, text.pattern)
    assert read.found.values["why"].pattern == "such as '{file}'"
    assert type(read.kept) is str


def test_what_is_stored_has_finished_texts():
    text = Text("{count} files", count=2)
    assert to_json(Told(text, (text,), None, text)) == {
        "found": "2 files",
        "more": ["2 files"],
        "maybe": None,
        "kept": "2 files",
    }


def test_a_plain_text_of_an_earlier_version_is_a_text_without_values():
    read = from_json(Told, {"found": "{a} of {"}, "t")
    assert (read.found, type(read.found), read.found.values) == ("{a} of {", Text, {})


def test_a_text_without_values_is_a_text_within_another_one():
    text = Text("Not written: {why}.", why=Text("the disk is full"))
    read = from_json(Told, to_message(Told(text)), "t").found
    assert (read, type(read.values["why"])) == (text, Text)


def test_a_text_too_long_to_be_translated_travels_as_it_is():
    text = Text("{a}{a}", a="x" * LONGEST_TEXT)
    assert from_json(Told, to_message(Told(text)), "t").found == text


@pytest.mark.parametrize(
    "found",
    [
        {"pattern": "{a.__class__}", "values": {"a": "x"}},
        {"pattern": "{a[0]}", "values": {"a": "x"}},
        {"pattern": "{a}", "values": {"a": "x", "b": "y"}},
        {"pattern": "{a}", "values": {"a": 1}},
        {"pattern": "{a}", "values": {"a": {"pattern": "{", "values": {"x": "y"}}}},
        {"pattern": "{a}"},
        {"pattern": 1, "values": {}},
        {"pattern": "{a}" * 2000, "values": {"a": "x"}},
        3,
    ],
)
def test_a_text_that_no_program_of_ours_wrote_is_refused(found):
    with pytest.raises(ProjectDamagedError):
        from_json(Told, {"found": found}, "t")
