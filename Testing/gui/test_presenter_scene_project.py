"""A scene names a project: it may be a stranger's, so nothing happens before the answer."""

import pytest
from a_presenter import Stage, opened
from presenter_fakes import ROOT, Disk

OPEN, NOT_NOW = "Open the project", "Not now"


@pytest.fixture
def asked():
    """A presenter that was told of a scene with a project."""
    stage = Stage(Disk.with_cases(2))
    stage.presenter.project.offer(ROOT)
    stage.settle()
    return stage


def test_the_project_of_a_scene_is_asked_about_and_named(asked):
    message = asked.state.message
    assert message.text == f"This scene belongs to the project '{ROOT}'."
    assert message.remedy.startswith("Open it?")
    assert [one.text for one in message.answers] == [OPEN, NOT_NOW]


def test_before_the_answer_no_service_is_started_and_nothing_is_opened(asked):
    assert asked.services == []
    assert asked.state.project.root == ""
    assert asked.state.project.recent == ()


def test_yes_opens_it_as_if_it_had_been_chosen(asked):
    asked.answer(OPEN)
    assert asked.state.project.root == ROOT
    assert not asked.state.message.answers


def test_no_leaves_it_alone(asked):
    asked.answer(NOT_NOW)
    assert asked.services == []
    assert asked.state.project.root == ""
    assert asked.state.message.text == ""


def test_a_closed_scene_asks_no_more(asked):
    asked.presenter.project.withdraw()
    assert not asked.state.message.answers
    asked.presenter.answer(0)
    assert asked.services == []


def test_who_opens_another_project_meanwhile_is_asked_no_more(asked):
    asked.presenter.project.open(ROOT)
    asked.settle()
    assert not asked.state.message.answers
    assert asked.state.project.root == ROOT


def test_with_a_project_open_or_being_opened_a_scene_asks_nothing():
    stage = opened(Disk.with_cases(2))
    stage.presenter.project.offer("/another")
    assert not stage.state.message.answers
    stage = Stage(Disk.with_cases(2), by_hand=True)
    stage.presenter.project.open(ROOT)
    stage.presenter.project.offer("/another")
    assert not stage.state.message.answers


def test_a_folder_name_cannot_hide_or_turn_what_is_asked():
    stage = Stage(Disk())
    stage.presenter.project.offer("/a\u202ecod\n\n\x1b[2Jb")
    assert stage.state.message.text == "This scene belongs to the project '/a?cod???[2Jb'."
