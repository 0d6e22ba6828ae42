"""Nothing is learned before what could be wrong is answered."""

from collections.abc import Collection, Iterable

from PseudoLabelCLLib.curation.check.case_finding import Finding
from PseudoLabelCLLib.domain.errors import UnansweredError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.text import Text, joined

# A pre-training looks at no segmentation.
ABOUT_IMAGES = (
    QuestionKind.PLANE,
    QuestionKind.SLICE_ORDER,
    QuestionKind.LABEL_MAP,
    QuestionKind.MODALITY,
    QuestionKind.SAME_IMAGE,
)


def require_answers(
    findings: Iterable[Finding], kinds: Collection[QuestionKind] = tuple(QuestionKind)
) -> None:
    """Refuse to go on while a question waits for its answer.

    Args:
        findings: Of the check of the cases.
        kinds: The questions that matter.

    Raises:
        UnansweredError: There is a question, with the ways to answer it.
    """
    waiting = [f for f in findings if f.question is not None and f.question.kind in kinds]
    if waiting:
        told = joined(*(finding.sentence for finding in waiting))
        raise UnansweredError(
            Text("Some questions must be answered before training. {questions}", questions=told),
            Text("Answer them, then train again."),
        )
