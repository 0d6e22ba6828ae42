"""Requests about proposals: show one, judge it, take a verdict back, measure the rounds."""

from collections.abc import Callable
from pathlib import Path

from PseudoLabelCLLib.curation.case_display import write_case_files
from PseudoLabelCLLib.curation.review_cases import (
    accept,
    correct,
    reject,
    require_proposal,
    take_back,
)
from PseudoLabelCLLib.desk.meet_request import SayWorking
from PseudoLabelCLLib.desk.open_project import OpenProjectHolder
from PseudoLabelCLLib.domain.desk_answers import CaseFiles, History
from PseudoLabelCLLib.domain.desk_requests import (
    Accept,
    Correct,
    ReadHistory,
    Reject,
    ShowCase,
    TakeBackVerdict,
)
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.project_view import ProjectView


def _show(holder: OpenProjectHolder, request: ShowCase, _: object) -> CaseFiles:
    return write_case_files(
        holder.root, holder.project(), request.case_id, request.round_index, request.with_image
    )


def _accept(holder: OpenProjectHolder, request: Accept, working: SayWorking) -> ProjectView:
    if request.left_out and len(request.case_ids) != 1:
        raise ReviewError(
            "Structures can be left out of one case at a time.", "Accept the cases one by one."
        )
    root = holder.root

    def judge(project: Project, case_id: str) -> Project:
        return accept(root, project, case_id, left_out=request.left_out)

    return _judge_all(holder, request.case_ids, judge, working)


def _reject(holder: OpenProjectHolder, request: Reject, working: SayWorking) -> ProjectView:
    root = holder.root
    return _judge_all(
        holder, request.case_ids, lambda project, case_id: reject(root, project, case_id), working
    )


def _judge_all(
    holder: OpenProjectHolder,
    case_ids: tuple[str, ...],
    judge: Callable[[Project, str], Project],
    working: SayWorking,
) -> ProjectView:
    """Judge all cases; if one cannot be judged, the verdicts on those before it are undone."""
    project = holder.project()
    case_ids = tuple(dict.fromkeys(case_ids))
    for case_id in case_ids:
        require_proposal(holder.root, project, case_id)
    judged: list[str] = []
    try:
        for number, case_id in enumerate(case_ids):
            if len(case_ids) > 1:
                working("Saving verdicts", number, len(case_ids))
            project = judge(project, case_id)
            judged.append(case_id)
    except BaseException:
        for case_id in reversed(judged):
            project = take_back(holder.root, project, case_id)
        holder.take_over(project)
        raise
    return holder.shown(project)


def _correct(holder: OpenProjectHolder, request: Correct, _: object) -> ProjectView:
    return holder.shown(
        correct(
            holder.root,
            holder.project(),
            request.case_id,
            Path(request.file),
            whole=request.whole,
            left_out=request.left_out,
        )
    )


def _take_back(holder: OpenProjectHolder, request: TakeBackVerdict, _: object) -> ProjectView:
    return holder.shown(take_back(holder.root, holder.project(), request.case_id))


def _history(holder: OpenProjectHolder, _request: ReadHistory, working: SayWorking) -> History:
    from PseudoLabelCLLib.curation.round_history import round_figures  # noqa: PLC0415 - seldom used

    return History(round_figures(holder.root, holder.project(), working))


MEETINGS = {
    "ShowCase": _show,
    "Accept": _accept,
    "Reject": _reject,
    "Correct": _correct,
    "TakeBackVerdict": _take_back,
    "ReadHistory": _history,
}
