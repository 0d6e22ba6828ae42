"""What the check of the cases says: one finding about a case, or about the project."""

from dataclasses import dataclass
from typing import Literal

from PseudoLabelCLLib.domain.question import Question


@dataclass(frozen=True)
class Finding:
    """One thing a person should know before training.

    Args:
        case_id: The case, or empty if it concerns the project.
        severity: "error" where training cannot start, "question" where a person has to say what is
            meant before it can, "note" otherwise.
        message: What was found.
        remedy: What to do.
        question: What has to be answered, or None.
    """

    case_id: str
    severity: Literal["error", "question", "note"]
    message: str
    remedy: str
    question: Question | None = None

    @property
    def sentence(self) -> str:
        """What was found and what to do, with the case named once."""
        named = not self.case_id or f"'{self.case_id}'" in self.message
        case = "" if named else f"Case '{self.case_id}': "
        return f"{case}{self.message} {self.remedy}".strip()


def asked(question: Question) -> Finding:
    """Return the finding that is a question."""
    return Finding(question.case_id, "question", question.message, question.flags, question)
