"""The lines of step "cases": one for each volume, one for each question about its files."""

from dataclasses import dataclass

from PseudoLabelCLLib.domain.case import CaseRole


@dataclass(frozen=True)
class CaseRow:
    """One line of the table of cases, ready to read.

    Args:
        case_id: The name of the case.
        role: What it is used for.
        cells: Its text in each column.
        tool_tip: What is said over it.
        only_drawn: Whether only the drawn slices of its segmentation count.
        missing_channels: Further images that it lacks.
    """

    case_id: str
    role: CaseRole
    cells: tuple[str, ...]
    tool_tip: str
    only_drawn: bool = False
    missing_channels: tuple[str, ...] = ()


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
