"""Which function handles which request: exactly one, with the request's answer, imported late."""

import ast
import importlib
import pkgutil
import typing
from pathlib import Path

import pytest

from PseudoLabelCLLib.messages.answers import Done, History
from PseudoLabelCLLib.messages.requests import CloseProject, Request, known_requests
from PseudoLabelCLLib.project_service import handle_request, handlers
from PseudoLabelCLLib.project_service.handle_request import (
    handler,
    handler_of,
    module_of_handler,
)
from PseudoLabelCLLib.project_service.project_session import ProjectSession

MODULES = [one.name for one in pkgutil.iter_modules(handlers.__path__, f"{handlers.__name__}.")]


def decorated_functions(module_name):
    """Name, request and answer of each handler, as they stand in the source."""
    source = Path(importlib.import_module(module_name).__file__).read_text("utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(one, ast.Name) and one.id == "handler" for one in node.decorator_list
        ):
            yield ast.unparse(node.args.args[1].annotation), ast.unparse(node.returns)


def test_every_request_has_exactly_one_handler_that_returns_its_answer():
    found = sorted(pair for name in MODULES for pair in decorated_functions(name))
    assert found == sorted((one.__name__, one.answer_type.__name__) for one in known_requests())


@pytest.mark.parametrize("request_type", known_requests())
def test_the_handler_of_a_request_is_annotated_with_it(request_type):
    function = handler_of(request_type)
    assert function.__module__ == module_of_handler(request_type)
    hints = typing.get_type_hints(function)
    assert request_type in hints.values()
    assert hints["return"] is request_type.answer_type


def of_nothing(session: ProjectSession, request: int, _: object) -> Done:
    return Done()


def of_any(session: ProjectSession, request: Request[Done], _: object) -> Done:
    return Done()


def with_another_answer(session: ProjectSession, request: CloseProject, _: object) -> History:
    return History(())


def elsewhere(session: ProjectSession, request: CloseProject, _: object) -> Done:
    return Done()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (of_nothing, "must be annotated with its request, got <class 'int'>"),
        (of_any, "must be annotated with its request"),
        (with_another_answer, "must return Done"),
        (elsewhere, "must stand in PseudoLabelCLLib.project_service.handlers.project"),
    ],
)
def test_function_that_cannot_be_the_handler_is_refused(function, words):
    with pytest.raises(TypeError, match=words):
        handler(function)


def test_second_handler_of_a_request_is_refused(monkeypatch):
    handler_of(CloseProject)
    monkeypatch.setattr(elsewhere, "__module__", module_of_handler(CloseProject))
    before = dict(handle_request._handlers)
    with pytest.raises(TypeError, match="CloseProject has a handler already"):
        handler(elsewhere)
    assert handle_request._handlers == before
