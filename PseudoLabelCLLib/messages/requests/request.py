"""What a request is: a frozen dataclass that says what it is answered with and what it changes."""

import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from PseudoLabelCLLib.domain.text import Text

A = TypeVar("A")

_known: "dict[str, type[Request[Any]]]" = {}


@dataclass(frozen=True)
class Request(Generic[A]):
    """Something that is asked of the project service and answered with an `A`.

    A subclass that names its answer is a request by itself; no list has to be kept:

        @dataclass(frozen=True)
        class ShowCase(Request[CaseFiles]):
            activity = Text("showing a case")
            case_id: str

    A direct subclass of `Request` only reads. What writes is a `ChangesProject` or `WritesFiles`.

    Attributes:
        activity: What the service does for it, as a person reads it: "showing a case".
        answer_type: The class of its answer, taken from the subclass's base.
    """

    activity: ClassVar[Text]
    answer_type: ClassVar[type[Any]]

    def __init_subclass__(cls) -> None:
        """Make a request known.

        Raises:
            TypeError: It names no answer or no activity, or its name is taken.
        """
        super().__init_subclass__()
        bases = cls.__dict__.get("__orig_bases__", ())
        answers = [answer for base in bases for answer in typing.get_args(base)]
        if len(answers) != 1:
            raise TypeError(f"The request {cls.__name__} must name its answer: Request[...].")
        if isinstance(answers[0], TypeVar):
            return  # a kind of request, such as ChangesProject
        if not getattr(cls, "activity", ""):
            raise TypeError(f"The request {cls.__name__} must say its activity.")
        if cls.__name__ in _known:
            raise TypeError(f"There are two requests named {cls.__name__}.")
        cls.answer_type = answers[0]
        _known[cls.__name__] = cls


class ChangesProject(Request[A]):
    """A request that changes the open project; refused where that can only be read."""


class WritesFiles(Request[A]):
    """A request that writes files, but not into the open project."""


def known_requests() -> "Iterable[type[Request[Any]]]":
    """Return the class of every request."""
    return tuple(_known.values())
