"""Times, sizes and settings as a person reads them."""

import pytest
from PseudoLabelCLGui.presenter.words import (
    about_time,
    gigabytes,
    named_settings,
    percent,
    state_words,
    time_left,
    verdict_words,
)

from PseudoLabelCLLib.curation.cases.settings import changed_config, named_values
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.messages.project_view import CaseState


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (29, "less than a minute"),
        (40, "about 1 min"),
        (59 * 60, "about 59 min"),
        (60 * 60, "about 1 h 0 min"),
        (9000, "about 2 h 30 min"),
    ],
)
def test_times_are_rounded_to_what_a_person_can_use(seconds, words):
    assert about_time(seconds) == words


def test_no_estimate_is_no_words():
    assert time_left(None) == ""
    assert percent(None) == ""
    assert time_left(180) == "about 3 min left"


def test_sizes_have_a_decimal_only_where_it_matters():
    assert gigabytes(1_540_000_000) == "1.5 GB"
    assert gigabytes(214_000_000_000) == "214 GB"


def test_every_state_and_verdict_has_words():
    assert len({state_words(state) for state in CaseState}) == len(CaseState)
    assert all(verdict_words(verdict) for verdict in Verdict)
    assert verdict_words(None) == ""


@pytest.mark.parametrize("profile", list(Profile))
def test_settings_have_the_names_that_the_service_knows(profile):
    config = config_for(profile)
    assert set(named_settings(config)) == set(named_values(config))


@pytest.mark.parametrize("profile", list(Profile))
def test_every_setting_as_shown_can_be_given_back_and_changes_nothing(profile):
    config = config_for(profile)
    texts = [f"{name}={text}" for name, text in named_settings(config).items()]
    assert changed_config(config, texts, "the test", "") == config
