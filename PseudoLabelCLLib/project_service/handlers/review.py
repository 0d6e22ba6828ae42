"""Requests about proposals: show one, judge it, take a verdict back, measure the rounds."""

from collections.abc import Callable
from pathlib import Path

from PseudoLabelCLLib.curation.review.case_display import write_case_files
from PseudoLabelCLLib.curation.review.correction_preview import preview_correction
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
from PseudoLabelCLLib.domain.review import ProposalIdentity
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
from PseudoLabelCLLib.project_service.handle_request import SayWorking
from PseudoLabelCLLib.project_service.open_project import OpenProjectHolder


def _show(holder: OpenProjectHolder, request: ShowCase, _: object) -> CaseFiles:
    return write_case_files(
        holder.root,
        holder.project(),
        request.case_id,
        request.round_index,
        request.with_image,
        holder.fingerprints,
    )


def _accept(holder: OpenProjectHolder, request: Accept, working: SayWorking) -> ProjectView:
    if request.left_out and len(request.proposals) != 1:
        raise ReviewError(
            "Structures can be left out of one case at a time.", "Accept the cases one by one."
        )
    root = holder.root

    def judge(project: Project, proposal: ProposalIdentity) -> Project:
        return accept(root, project, proposal, left_out=request.left_out)

    return _judge_all(holder, request.proposals, judge, working)


def _reject(holder: OpenProjectHolder, request: Reject, working: SayWorking) -> ProjectView:
    root = holder.root
    return _judge_all(
        holder, request.proposals, lambda project, one: reject(root, project, one), working
    )


def _judge_all(
    holder: OpenProjectHolder,
    proposals: tuple[ProposalIdentity, ...],
    judge: Callable[[Project, ProposalIdentity], Project],
    working: SayWorking,
) -> ProjectView:
    """Judge all proposals; if one cannot be judged, the verdicts on those before it are undone."""
    project = holder.project()
    proposals = tuple(dict.fromkeys(proposals))
    for proposal in proposals:
        require_proposal(holder.root, project, proposal)
    judged: list[ProposalIdentity] = []
    try:
        for number, proposal in enumerate(proposals):
            if len(proposals) > 1:
                working("Saving verdicts", number, len(proposals))
            project = judge(project, proposal)
            judged.append(proposal)
    except BaseException:
        for one in reversed(judged):
            case_id = project.case(one.case_id).id
            project = undo_verdict(holder.root, project, case_id, one.round_index)
        holder.take_over(project)
        raise
    return holder.shown(project)


def _correct(holder: OpenProjectHolder, request: Correct, _: object) -> ProjectView:
    return holder.shown(
        correct(
            holder.root,
            holder.project(),
            request.proposal,
            Path(request.file),
            extent=request.extent,
            left_out=request.left_out,
        )
    )


def _preview(holder: OpenProjectHolder, request: PreviewCorrection, _: object) -> CorrectionPreview:
    return preview_correction(
        holder.root, holder.project(), request.proposal, Path(request.file), request.left_out
    )


def _take_back(holder: OpenProjectHolder, request: TakeBackVerdict, _: object) -> ProjectView:
    return holder.shown(take_back(holder.root, holder.project(), request.proposal))


def _history(holder: OpenProjectHolder, _request: ReadHistory, working: SayWorking) -> History:
    from PseudoLabelCLLib.curation.review.round_history import round_figures  # noqa: PLC0415 - seldom used

    return History(round_figures(holder.root, holder.project(), working))


HANDLERS = {
    "ShowCase": _show,
    "Accept": _accept,
    "Reject": _reject,
    "Correct": _correct,
    "PreviewCorrection": _preview,
    "TakeBackVerdict": _take_back,
    "ReadHistory": _history,
}
