"""Requests about proposals: show one, judge it, take a verdict back, measure the rounds."""

from collections.abc import Callable
from pathlib import Path

from PseudoLabelCLLib.curation.review.correction_preview import preview_correction
from PseudoLabelCLLib.curation.review.display_files import write_case_files
from PseudoLabelCLLib.curation.review.proposals import require_proposal
from PseudoLabelCLLib.curation.review.review_cases import (
    accept,
    correct,
    reject,
    take_back,
    undo_verdict,
)
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import ReportProgress
from PseudoLabelCLLib.domain.review import ProposalIdentity
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import CaseFiles, CorrectionPreview, History
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests import (
    Accept,
    Correct,
    PreviewCorrection,
    ReadHistory,
    Reject,
    ShowCase,
    TakeBackVerdict,
)
from PseudoLabelCLLib.project_service.handle_request import handler
from PseudoLabelCLLib.project_service.project_session import ProjectSession


@handler
def _show(session: ProjectSession, request: ShowCase, _: object) -> CaseFiles:
    return write_case_files(
        session.root,
        session.project(),
        request.case_id,
        request.round_index,
        request.with_image,
        session.fingerprints,
    )


@handler
def _accept(session: ProjectSession, request: Accept, progress: ReportProgress) -> ProjectView:
    if request.left_out and len(request.proposals) != 1:
        raise ReviewError(
            Text("Structures can be left out of one case at a time."),
            Text("Accept the cases one by one."),
        )
    root = session.root

    def judge(project: Project, proposal: ProposalIdentity) -> Project:
        return accept(root, project, proposal, left_out=request.left_out)

    return _judge_all(session, request.proposals, judge, progress)


@handler
def _reject(session: ProjectSession, request: Reject, progress: ReportProgress) -> ProjectView:
    root = session.root
    return _judge_all(
        session, request.proposals, lambda project, one: reject(root, project, one), progress
    )


def _judge_all(
    session: ProjectSession,
    proposals: tuple[ProposalIdentity, ...],
    judge: Callable[[Project, ProposalIdentity], Project],
    progress: ReportProgress,
) -> ProjectView:
    """Judge all proposals; if one cannot be judged, the verdicts on those before it are undone."""
    project = session.project()
    proposals = tuple(dict.fromkeys(proposals))
    for proposal in proposals:
        require_proposal(session.root, project, proposal)
    judged: list[ProposalIdentity] = []
    try:
        for number, proposal in enumerate(proposals):
            if len(proposals) > 1:
                progress(Text("Saving verdicts"), number, len(proposals))
            project = judge(project, proposal)
            judged.append(proposal)
    except BaseException:
        for one in reversed(judged):
            case_id = project.case(one.case_id).id
            project = undo_verdict(session.root, project, case_id, one.round_index)
        session.update(project)
        raise
    return session.updated_view(project)


@handler
def _correct(session: ProjectSession, request: Correct, _: object) -> ProjectView:
    return session.updated_view(
        correct(
            session.root,
            session.project(),
            request.proposal,
            Path(request.file),
            extent=request.extent,
            left_out=request.left_out,
        )
    )


@handler
def _preview(session: ProjectSession, request: PreviewCorrection, _: object) -> CorrectionPreview:
    return preview_correction(
        session.root, session.project(), request.proposal, Path(request.file), request.left_out
    )


@handler
def _take_back(session: ProjectSession, request: TakeBackVerdict, _: object) -> ProjectView:
    return session.updated_view(take_back(session.root, session.project(), request.proposal))


@handler
def _history(session: ProjectSession, _request: ReadHistory, progress: ReportProgress) -> History:
    from PseudoLabelCLLib.curation.review.round_history import round_figures  # noqa: PLC0415 - seldom used

    return History(round_figures(session.root, session.project(), progress))
