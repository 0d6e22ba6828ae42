"""Keeping what a person answered to the questions that the check of the cases asks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.curation.cases.counting_slices import with_counting_slices
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.check.check_memory import SMALLER, with_smaller_batches
from PseudoLabelCLLib.curation.check.check_vanishing import FINER, own_pixel_mm
from PseudoLabelCLLib.curation.check.drawn_slices import DRAWN
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.plane import Plane
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer, KeptAnswer, Question
from PseudoLabelCLLib.domain.question_kinds import LEAVE, QuestionKind
from PseudoLabelCLLib.storage.project.project_store import save_cases


def keep_answer(root: Path, project: Project, question: Question, value: str) -> Project:
    """Keep an answer with the case that it is about, or as a setting, and save the project.

    A case that is left out is ignored from now on.

    Raises:
        ProjectError: The question has no such answer, or there is no such case.
        StorageError: The disk refuses.
    """
    if value == LEAVE and any(choice.value == LEAVE for choice in question.choices):
        case = project.case(question.case_id)
        changed = project.with_case(case.with_role(CaseRole.IGNORED))
        save_cases(root, changed)
        return changed
    asking = Asking(question.case_id, (GivenAnswer(question.kind, value),))
    asking.ask(question.kind, question.message, question.num_voxels, question.choices)
    changed = _with_answers(project, question, asking.used)
    if question.kind is QuestionKind.SPARSE:
        changed = with_counting_slices(root, changed, question.case_id, only_drawn=value == DRAWN)
    save_cases(root, changed)
    return changed


def keep_answers(root: Path, project: Project, given: Sequence[GivenAnswer]) -> Project:
    """Look at every case, and keep the answers to the questions that it raises.

    Raises:
        ProjectError: A question has no such answer.
        StorageError: The disk refuses.
    """
    for finding in check_cases(root, project) if given else ():
        question = finding.question
        if question is None:
            continue
        own = [one for one in given if one.kind is question.kind]
        fit = [one for one in own if one.case_id.casefold() == question.case_id.casefold()]
        for answer in (fit or [one for one in own if not one.case_id])[-1:]:
            project = keep_answer(root, project, question, answer.value)
    return project


def _with_answers(project: Project, question: Question, used: Sequence[KeptAnswer]) -> Project:
    if question.kind is QuestionKind.PLANE:
        preprocess = replace(project.config.preprocess, plane=Plane(used[-1].value))
        return replace(project, config=replace(project.config, preprocess=preprocess))
    if question.kind is QuestionKind.VANISHING and used[-1].value == FINER:
        geometry = project.case(question.case_id).geometry
        own_mm = own_pixel_mm(geometry, project.slicing_axis_of(question.case_id))
        preprocess = replace(project.config.preprocess, in_plane_spacing_mm=own_mm)
        return replace(project, config=replace(project.config, preprocess=preprocess))
    if question.kind is QuestionKind.MEMORY and used[-1].value == SMALLER:
        return replace(project, config=with_smaller_batches(project.config))
    case: Case = project.case(question.case_id)
    return project.with_case(replace(case, answers=case.with_answers(used).answers))
