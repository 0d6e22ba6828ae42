"""The lines of step "cases": one for each volume, one for each question about its files."""

from dataclasses import dataclass

from PseudoLabelCLLib.domain.case import CaseRole


@dataclass(frozen=True)
class CaseRow:
    """One line of the table of cases, ready to read; `slices` is empty if all of them count."""

    case_id: str
    role: CaseRole
    segmentation: str
    state: str
    doubt: str
    verdict: str
    tool_tip: str
    slices: str = ""


@dataclass(frozen=True)
class QuestionRow:
    """A question about the files of a case, or about all cases.

    Args:
        text: What was found.
        choices: For each answer its value, what its button says, and what it does.
        enabled: Whether it can be answered now.
    """

    text: str
    choices: tuple[tuple[str, str, str], ...]
    enabled: bool = True
