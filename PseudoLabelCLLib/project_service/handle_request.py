"""Finds the handler of a request; what a request needs is imported when it first comes."""

import importlib
import inspect
import typing
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from PseudoLabelCLLib.domain.reporting import ReportProgress
from PseudoLabelCLLib.messages.requests import ChangesProject, Request
from PseudoLabelCLLib.project_service.project_session import ProjectSession

A = TypeVar("A")
R = TypeVar("R", bound=Request[Any])
Handler: TypeAlias = Callable[[ProjectSession, R, ReportProgress], A]

_HANDLERS_PACKAGE = "PseudoLabelCLLib.project_service.handlers"
_handlers: dict[type[Request[Any]], Handler[Any, Any]] = {}


def handler(function: Handler[R, A]) -> Handler[R, A]:
    """Register a function as the handler of the request named by its annotations.

    Args:
        function: Does what the request asks for and returns the answer. It takes the open project,
            the request, and whom to tell how far it is.

    Raises:
        TypeError: The annotations name no request or not its answer, it stands in another module
            than the handlers of such requests, or the request has a handler already.
    """
    name = f"{function.__module__}.{function.__qualname__}"
    annotations = typing.get_type_hints(function)
    _, request_parameter, _ = inspect.signature(function).parameters
    request_type = annotations.get(request_parameter)
    if not (isinstance(request_type, type) and issubclass(request_type, Request)):
        raise TypeError(f"{name} must be annotated with its request, got {request_type!r}.")
    if annotations.get("return") is not request_type.answer_type:
        raise TypeError(f"{name} must return {request_type.answer_type.__name__}.")
    if function.__module__ != module_of_handler(request_type):
        raise TypeError(f"{name} must stand in {module_of_handler(request_type)}.")
    if request_type in _handlers:
        raise TypeError(f"{request_type.__name__} has a handler already, besides {name}.")
    _handlers[request_type] = function
    return function


def handle(session: ProjectSession, request: Request[A], progress: ReportProgress) -> A:
    """Do what a request asks for and return the answer.

    Args:
        session: The open project, if any.
        request: What is asked for.
        progress: Told how far a request is that takes a while.

    Raises:
        PseudoLabelCLError: It cannot be done; nothing on disk has changed.
    """
    if isinstance(request, ChangesProject):
        session.require_writable()
    answer: A = handler_of(type(request))(session, request, progress)
    return answer


def handler_of(request_type: type[Request[Any]]) -> Handler[Any, Any]:
    """Return the handler of a request."""
    # Readers of images and arrays take half a second to import; opening a project needs none.
    importlib.import_module(module_of_handler(request_type))
    return _handlers[request_type]


def module_of_handler(request_type: type[Request[Any]]) -> str:
    """Return the module with the handler of a request: it bears the name of the request's own."""
    return f"{_HANDLERS_PACKAGE}.{request_type.__module__.rpartition('.')[2]}"
