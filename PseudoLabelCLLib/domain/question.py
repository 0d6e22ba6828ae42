"""Questions: findings that could be wrong, so that only a person can say what was meant.

A finding is one of three: nothing to say (proved harmless), a note (cannot be wrong), a question.
A question stops whatever raised it until it is answered, and its answer is kept with the case.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from PseudoLabelCLLib.domain.errors import ProjectError, PseudoLabelCLError
from PseudoLabelCLLib.domain.question_kinds import LEAVE, QUESTIONS, Choice, QuestionKind
from PseudoLabelCLLib.domain.text import Text, joined

# So many answers are told in a sentence.
_MOST_TOLD = 8


@dataclass(frozen=True)
class Question:
    """One question.

    Args:
        kind: What it is about.
        message: What was found, in one or two sentences that name the file.
        num_voxels: How many voxels it concerns; 0 where that does not apply.
        case_id: The case, or empty if it concerns the project.
        own_choices: Its answers, where they are not those of its kind.
    """

    kind: QuestionKind
    message: Text
    num_voxels: int = 0
    case_id: str = ""
    own_choices: tuple[Choice, ...] = ()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The answers that it can have."""
        return self.own_choices or QUESTIONS[self.kind].choices

    @property
    def flags(self) -> Text:
        """How it is answered in the command line."""
        where = f"{self.case_id}:" if self.case_id else ""
        quote = '"' if " " in where else ""
        ways = [
            Text(
                "--answer {answer} ({effect})",
                answer=f"{quote}{where}{self.kind.value}={choice.value}{quote}",
                effect=choice.effect,
            )
            for choice in self.choices
        ]
        if len(ways) > _MOST_TOLD:  # such as the frames of a film
            ways = [ways[0], Text("..."), *ways[-3:]]
        return Text("Answer with {ways}.", ways=joined(*ways, by=", or "))


@dataclass(frozen=True)
class GivenAnswer:
    """What a person answers.

    Args:
        kind: To which kind of question.
        value: The answer.
        case_id: For which case; empty answers for all of them.
    """

    kind: QuestionKind
    value: str
    case_id: str = ""


@dataclass(frozen=True)
class KeptAnswer:
    """A question that a person has answered, as the project keeps it.

    Args:
        kind: What it was about.
        value: The answer.
        message: The text that the person was shown.
        num_voxels: How many voxels it concerned.
    """

    kind: QuestionKind
    value: str
    message: str
    num_voxels: int = 0


class QuestionError(PseudoLabelCLError):
    """A question that nobody has answered yet; nothing was changed.

    Args:
        question: The question.
        others: Those that came up with it.
    """

    def __init__(self, question: Question, others: Sequence[Question] = ()) -> None:
        alike = [one.case_id for one in others if one.kind is question.kind]
        remedies = [question.flags]
        if alike:
            names = ", ".join(f"'{case_id}'" for case_id in alike[:_MOST_TOLD])
            remedies.append(
                Text(
                    "The same is asked about {names}: --answer {kind}=VALUE answers for all of "
                    "them.",
                    names=names + (", ..." if alike[_MOST_TOLD:] else ""),
                    kind=question.kind.value,
                )
            )
        different = [one for one in others if one.kind is not question.kind]
        for one in different[:1]:
            remedies += [one.message, one.flags]
        super().__init__(question.message, joined(*remedies))
        self.question = question
        self.questions = (question, *others)


class LeftOutError(PseudoLabelCLError):
    """A person answered that the file takes no part."""

    def __init__(self, question: Question) -> None:
        super().__init__(Text("Left out, as answered: {found}", found=question.message))


@dataclass
class Asking:
    """Asks on behalf of one case, and remembers what was answered.

    Args:
        case_id: The case, or empty.
        given: The answers that a person gave.
        used: Those that answered a question.
        labels_can_grow: Whether values that the project does not list can become structures.
        is_first: Whether no segmentation was read before that this one could contradict.
    """

    case_id: str = ""
    given: Sequence[GivenAnswer] = ()
    used: list[KeptAnswer] = field(default_factory=list)
    labels_can_grow: bool = False
    is_first: bool = False

    def ask(
        self,
        kind: QuestionKind,
        message: Text,
        num_voxels: int = 0,
        choices: tuple[Choice, ...] = (),
        up_to: int = 0,
    ) -> str:
        """Return the answer to a question.

        Args:
            kind: What it is about.
            message: What was found.
            num_voxels: How many voxels it concerns.
            choices: Its answers, where they are not those of its kind.
            up_to: The highest number that is an answer too, from 1.

        Raises:
            QuestionError: Nobody has answered it.
            LeftOutError: The answer is that the file takes no part.
            ProjectError: It has no such answer.
        """
        question = Question(kind, message, num_voxels, self.case_id, choices)
        value = self._answer_to(question)
        if value is None:
            raise QuestionError(question)
        is_number = value.isdecimal() and 1 <= int(value) <= up_to
        if not is_number and value not in (choice.value for choice in question.choices):
            raise ProjectError(
                Text(
                    "'{value}' is not an answer to the question '{kind}': {found}",
                    value=value,
                    kind=kind.value,
                    found=message,
                ),
                question.flags,
            )
        if value == LEAVE:
            raise LeftOutError(question)
        self.used.append(KeptAnswer(kind, value, message, num_voxels))
        return value

    def _answer_to(self, question: Question) -> str | None:
        """Return the answer for this case, else that for all of them."""
        fit = [answer for answer in self.given if answer.kind is question.kind]
        own = self.case_id.casefold()
        for case_id in (own, "") if own else ("",):
            for answer in reversed(fit):  # the last one that was given counts
                if answer.case_id.casefold() == case_id:
                    return answer.value
        return None


def given_answer(text: str) -> GivenAnswer:
    """Return the answer in "KIND=VALUE" or "CASE:KIND=VALUE".

    Raises:
        ProjectError: There is no such kind of question, or no value.
    """
    name, _, value = text.partition("=")
    case_id, _, kind = name.rpartition(":")
    known = {one.value: one for one in QuestionKind}
    if kind.strip() not in known or not value.strip():
        raise ProjectError(
            Text(
                "'{answer}' is not a valid answer; expected KIND=VALUE or CASE:KIND=VALUE.",
                answer=text,
            ),
            Text("The kinds are {kinds}.", kinds=", ".join(known)),
        )
    return GivenAnswer(known[kind.strip()], value.strip(), case_id.strip())
