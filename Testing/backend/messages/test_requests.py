"""What the class of a request says by itself: its answer, its activity, what it changes."""

import types
from dataclasses import dataclass

import pytest

from PseudoLabelCLLib.messages import requests as ask
from PseudoLabelCLLib.messages.answers import CaseFiles, Done
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests import ChangesProject, Request, WritesFiles, known_requests
from PseudoLabelCLLib.messages.service_messages import InvalidRequestError, decode_request


def test_a_request_names_its_answer_in_its_base():
    assert ask.ShowCase.answer_type is CaseFiles
    assert ask.Accept.answer_type is ProjectView
    assert ask.CloseProject.answer_type is Done


@pytest.mark.parametrize("request_type", known_requests())
def test_a_request_is_a_frozen_dataclass_that_the_package_exports(request_type):
    assert getattr(ask, request_type.__name__) is request_type
    assert request_type.__dataclass_params__.frozen
    assert "__dataclass_fields__" in vars(request_type)


def test_kinds_of_requests_are_no_requests():
    assert not {Request, ChangesProject, WritesFiles} & set(known_requests())
    for kind in ("Request", "ChangesProject", "WritesFiles"):
        with pytest.raises(InvalidRequestError, match=f"no request of the type '{kind}'"):
            decode_request(f'{{"type": "{kind}", "seq": 0}}'.encode())


def test_a_class_that_was_made_later_is_not_decoded(monkeypatch):
    monkeypatch.setattr(ask.request, "_known", dict(ask.request._known))

    @dataclass(frozen=True)
    class Later(Request[Done]):
        activity = "coming later"

    with pytest.raises(InvalidRequestError, match="no request of the type 'Later'"):
        decode_request(b'{"type": "Later", "seq": 0}')


@pytest.mark.parametrize(
    ("name", "base", "body", "words"),
    [
        ("Nameless", Request, {"activity": "resting"}, "must name its answer"),
        ("Idle", Request[Done], {}, "must say its activity"),
        ("ShowCase", Request[Done], {"activity": "resting"}, "two requests named ShowCase"),
    ],
)
def test_a_class_that_does_not_say_enough_is_refused(name, base, body, words):
    with pytest.raises(TypeError, match=words):
        types.new_class(name, (base,), exec_body=lambda space: space.update(body))
