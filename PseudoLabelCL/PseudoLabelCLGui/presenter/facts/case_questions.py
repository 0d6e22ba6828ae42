"""Questions about the files of cases: kept until they are answered on the page "Cases"."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from PseudoLabelCLGui.case_row import QuestionRow
from PseudoLabelCLGui.translation import translated
from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.question import GivenAnswer, Question
from PseudoLabelCLLib.domain.question_kinds import LEAVE, QuestionKind
from PseudoLabelCLLib.messages.answers import Problem
from PseudoLabelCLLib.messages.requests import AddFurtherImage, AnswerQuestion, FindVolumes


@dataclass(frozen=True)
class AskedQuestion:
    """A question that waits for its answer.

    Args:
        question: The question.
        volume: What was to be added when it came up; None if something else asks it.
        search: What was looked for when it came up; without both, the check of the cases asks it.
        role: What the search was for, or None.
        further: What was to be added to a case when it came up.
    """

    question: Question
    volume: NewCase | None = None
    search: FindVolumes | None = None
    role: CaseRole | None = None
    further: AddFurtherImage | None = None


def questions_of(
    problems: Iterable[Problem], volumes: tuple[NewCase, ...] = ()
) -> tuple[AskedQuestion, ...]:
    """Return the questions among problems, each with the volume that it is about."""
    by_name = {volume.case_id: volume for volume in volumes}
    return tuple(
        AskedQuestion(problem.question, by_name.get(problem.case_id))
        for problem in problems
        if problem.question is not None
    )


def questions_of_search(
    search: FindVolumes, role: CaseRole | None, problems: Iterable[Problem]
) -> tuple[AskedQuestion, ...]:
    """Return the questions that a search was met with."""
    return tuple(
        AskedQuestion(problem.question, search=search, role=role)
        for problem in problems
        if problem.question is not None
    )


def questions_of_further(
    problems: Iterable[Problem], request: AddFurtherImage
) -> tuple[AskedQuestion, ...]:
    """Return the questions about an image that was to be added to a case."""
    return tuple(
        AskedQuestion(problem.question, further=request)
        for problem in problems
        if problem.question is not None
    )


def asked_alike(
    asked: AskedQuestion, waiting: Iterable[AskedQuestion]
) -> tuple[AskedQuestion, ...]:
    """Return the questions that an answer to one of them settles too.

    Which volume of a file is meant is asked once for files that hold as many.
    """
    kind = asked.question.kind
    if kind is not QuestionKind.FRAMES or asked.volume is None:
        return (asked,)
    choices = asked.question.choices
    alike = (one for one in waiting if one.volume is not None and one.question.kind is kind)
    return tuple(one for one in alike if one.question.choices == choices)


def answered(
    alike: tuple[AskedQuestion, ...],
    value: str,
    *,
    search: Callable[[FindVolumes, CaseRole | None], None],
    add: Callable[[tuple[NewCase, ...]], None],
    further: Callable[[AddFurtherImage], None],
    keep: Callable[[AnswerQuestion], None],
) -> None:
    """Do what an answer asks for.

    Args:
        alike: The question, and those that the same answer settles.
        value: The answer.
        search: Looks for volumes once more, with the answer.
        add: Adds volumes once more, with the answer.
        further: Adds an image to a case once more, with the answer.
        keep: Keeps the answer of a case that the project has.
    """
    asked = alike[0]
    given = GivenAnswer(asked.question.kind, value)
    if asked.search is not None:
        search(replace(asked.search, answers=(*asked.search.answers, given)), asked.role)
    elif asked.further is not None:
        if value != LEAVE:
            further(replace(asked.further, answers=(*asked.further.answers, given)))
    elif asked.volume is None:
        keep(AnswerQuestion(asked.question, value))
    elif value != LEAVE:
        volumes = (one.volume for one in alike if one.volume is not None)
        add(tuple(replace(one, answers=(*one.answers, given)) for one in volumes))


def question_row(asked: AskedQuestion, *, enabled: bool) -> QuestionRow:
    """Return the line of a question."""
    question = asked.question
    named = not question.case_id or f"'{question.case_id}'" in question.message
    message = translated(question.message)
    text = message if named else f"{question.case_id}: {message}"
    choices = ((c.value, translated(c.button), translated(c.effect)) for c in question.choices)
    return QuestionRow(text, tuple(choices), enabled)
