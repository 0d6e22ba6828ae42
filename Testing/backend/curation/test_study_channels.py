"""Which series of a study is which channel, from what the scanner wrote."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from PseudoLabelCLLib.curation.find.study_channels import channels_of_study


@pytest.mark.parametrize(
    ("descriptions", "channels", "expected"),
    [
        (["Ax T2 FLAIR", "T2 TSE"], ("T2", "FLAIR"), {"T2": 1, "FLAIR": 0}),
        (["t1_mprage_sag", "flair-3d"], ("FLAIR", "T1"), {"FLAIR": 1, "T1": 0}),
        (["ADC", "DWI b1000", "T2W"], ("T2W", "ADC"), {"T2W": 2, "ADC": 0}),
        (["T1 Gd axial", "T1 axial"], ("T1 Gd", "T1"), {"T1 Gd": 0, "T1": 1}),
        (["T1", "T2"], ("FLAIR",), {}),
        (["T12 spine", "T2"], ("T1", "T2"), {"T2": 1}),
        ([], ("T1", "T2"), {}),
    ],
)
def test_series_are_recognised_by_the_words_of_their_descriptions(descriptions, channels, expected):
    found = channels_of_study(descriptions, channels)
    assert found.series == expected
    assert found.doubtful == ()


@pytest.mark.parametrize(
    ("descriptions", "doubtful"),
    [
        (["T1 pre", "T1 post", "T2"], ("T1",)),
        (["T1 T2", "T2 T1"], ("T1", "T2")),
        (["T1 or T2"], ("T1", "T2")),
    ],
)
def test_what_can_be_read_in_two_ways_is_doubtful(descriptions, doubtful):
    found = channels_of_study(descriptions, ("T1", "T2"))
    assert found.series == {}
    assert found.doubtful == doubtful


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sets(st.sampled_from("abc")), max_size=4))
def test_as_many_channels_as_possible_get_a_series_and_only_one_way_counts(named):
    """Against all ways to give three channels a series or none."""
    numbers = [*range(len(named)), None]
    ways = []
    for chosen in itertools.product(numbers, repeat=3):
        way = {c: n for c, n in zip("abc", chosen, strict=True) if n is not None}
        if len(set(way.values())) == len(way) and all(c in named[n] for c, n in way.items()):
            ways.append(way)
    most = max(map(len, ways))
    best = [way for way in ways if len(way) == most]
    found = channels_of_study([" ".join(sorted(one)) for one in named], ("a", "b", "c"))
    assert found.series == (best[0] if len(best) == 1 else {})
