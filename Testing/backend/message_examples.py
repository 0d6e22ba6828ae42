"""An example of any message, made from the types of its fields, so that no message is forgotten."""

import dataclasses
import types
import typing
from enum import Enum

from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile, ProjectConfig
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.question import KeptAnswer, Question
from PseudoLabelCLLib.domain.question_kinds import Choice, QuestionKind
from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.domain.text import Text

ODD = "Größe 日本 \udcff \u2028 \x00\n"
HEART = Terminology(Code("SCT", "123037004", "Anatomical Structure"), Code("SCT", "1", ODD))
LABELS = LabelSchema((LabelClass(3, ODD, "#e69f00", HEART, "Segment_ä", True), LabelClass(
    1, "b", "#56b4e9")))  # fmt: skip
OBLIQUE = Geometry((4, 5, 6), (0.1, 0.2, 1 / 3), (1e-9, -2.5, 3e5), (0, 1, 0, 1, 0, 0, 0, 0, -1))
TEXT = Text("{count:,} files, {why}", count=1234, why=Text("such as '{file}'", file=ODD))
QUESTION = Question(QuestionKind.SAME_SHAPE, TEXT, 3, "a", (Choice("x", TEXT, Text("does")),))
CASE = Case(
    "Größe 日本", CaseRole.VALIDATION, ODD, OBLIQUE, ODD, ODD,
    (KeptAnswer(QuestionKind.SPARSE, ODD, ODD, 3),), (0, 2),
)  # fmt: skip
# What is checked when it is made needs values that fit together.
_CHOSEN = {
    str: ODD,
    Text: TEXT,
    int: 3,
    float: 1 / 3,
    bool: True,
    LabelSchema: LABELS,
    Case: CASE,
    Geometry: OBLIQUE,
    Question: QUESTION,
    ProjectConfig: config_for(Profile.PAPER),
}


def example_of(type_):
    """A value of a type in which nothing is left at its default and no text is plain."""
    arguments = typing.get_args(type_)
    origin = typing.get_origin(type_)
    if type_ in _CHOSEN:
        return _CHOSEN[type_]
    if origin in (typing.Union, types.UnionType):
        return example_of(arguments[0])
    if origin is tuple:
        return tuple(example_of(one) for one in arguments if one is not Ellipsis)
    if origin is dict:
        return {ODD: example_of(arguments[1])}
    if dataclasses.is_dataclass(type_):
        hints = typing.get_type_hints(type_)
        return type_(**{f.name: example_of(hints[f.name]) for f in dataclasses.fields(type_)})
    assert issubclass(type_, Enum), type_
    return list(type_)[-1]
