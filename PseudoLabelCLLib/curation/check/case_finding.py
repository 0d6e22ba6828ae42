"""What the check of the cases says: one finding about a case, or about the project."""

from dataclasses import dataclass
from typing import Literal

from PseudoLabelCLLib.domain.question import Question
from PseudoLabelCLLib.domain.text import Text, joined


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
    message: Text
    remedy: Text
    question: Question | None = None

    @property
    def sentence(self) -> Text:
        """What was found and what to do, with the case named once."""
        named = not self.case_id or f"'{self.case_id}'" in self.message
        told = joined(self.message, self.remedy)
        return told if named else Text("Case '{case}': {found}", case=self.case_id, found=told)


def asked(question: Question) -> Finding:
    """Return the finding that is a question."""
    return Finding(question.case_id, "question", question.message, question.flags, question)
