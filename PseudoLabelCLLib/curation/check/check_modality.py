"""Which volumes are CT where the annotated ones, or what a model learned from, are not."""

from collections.abc import Iterator, Mapping, Sequence

from PseudoLabelCLLib.curation.check.case_finding import Finding, asked
from PseudoLabelCLLib.curation.check.scanned_values import looks_like_ct
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking, Question
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume


def modality_findings(
    project: Project, settled: PreprocessConfig | None, is_ct: Mapping[str, bool]
) -> Iterator[Finding]:
    """Ask about the volumes that are unlike the annotated ones, unless that was answered.

    Args:
        project: The project.
        settled: What round 0 has settled, or None.
        is_ct: By case.
    """
    config = settled or project.preprocess
    annotated = [is_ct[c.id] for c in project.cases_with_role(CaseRole.ANNOTATED) if c.id in is_ct]
    if not config.scale_ct or not annotated:
        return
    wanted = config.ct_limits_of(0) is not None or mostly_ct(annotated)
    for case_id, own in is_ct.items():
        unanswered = project.case(case_id).answer_to(QuestionKind.MODALITY) is None
        if own is not wanted and unanswered:
            yield asked(_question(case_id, wants_ct=wanted))


def start_findings(project: Project, is_ct: Mapping[str, bool]) -> Iterator[Finding]:
    """Refuse to start from a model that learned from CT where the annotated volumes are none.

    Args:
        project: The project.
        is_ct: By case.
    """
    annotated = [is_ct[c.id] for c in project.cases_with_role(CaseRole.ANNOTATED) if c.id in is_ct]
    if project.start is None or project.rounds or not annotated:
        return
    learned = project.start.learned_from_ct
    if learned is None or learned is mostly_ct(annotated):
        return
    found = Text(
        "Round 0 is to start from a model that learned from CT, and the annotated volumes are not "
        "CT."
    )
    if not learned:
        found = Text(
            "Round 0 is to start from a model that did not learn from CT, and the annotated "
            "volumes are CT."
        )
    remedy = Text("Start from another model, or without one.")
    yield Finding("", "error", found, remedy)


def mostly_ct(is_ct: Sequence[bool]) -> bool:
    """Return whether at least half of the volumes are CT."""
    return 2 * sum(is_ct) >= len(is_ct) > 0


def ask_about_modality(volume: Volume, config: PreprocessConfig, asking: Asking) -> None:
    """Ask about a volume that is not CT, if a model has learned from CT.

    Raises:
        QuestionError: A person has to say whether it is meant.
        LeftOutError: A person answered that it takes no part.
    """
    if config.ct_limits_of(0) is not None and not looks_like_ct(volume):
        question = _question(asking.case_id, wants_ct=True)
        asking.ask(question.kind, question.message)


def _question(case_id: str, *, wants_ct: bool) -> Question:
    if wants_ct:
        found = Text(
            "The annotated volumes are CT. According to its header and values, '{case}' is not; "
            "used as CT, its values would be read as Hounsfield units.",
            case=case_id,
        )
    else:
        found = Text(
            "According to its header and values, '{case}' is CT; the annotated volumes are not.",
            case=case_id,
        )
    return Question(QuestionKind.MODALITY, found, case_id=case_id)
