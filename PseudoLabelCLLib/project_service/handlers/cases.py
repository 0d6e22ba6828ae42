"""Requests about volumes: find them, add them, give them roles, check them, make samples."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.curation.cases.add_or_annotate import (
    add_or_annotate,
    files_to_come,
    undo_adding,
)
from PseudoLabelCLLib.curation.cases.answer_questions import keep_answer
from PseudoLabelCLLib.curation.cases.change_cases import remove_cases, set_role
from PseudoLabelCLLib.curation.cases.counting_slices import choose_counting_slices
from PseudoLabelCLLib.curation.cases.further_images import add_further_image
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.domain.case import CaseRole, NewCase, kept_answers
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking, LeftOutError, Question, QuestionError
from PseudoLabelCLLib.domain.reporting import ReportProgress
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.answers import (
    CasesChecked,
    Problem,
    SampleVolume,
    SampleVolumes,
    VolumesAdded,
    VolumesFound,
)
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests import (
    AddFurtherImage,
    AddVolumes,
    AnswerQuestion,
    CheckCases,
    ChooseSlices,
    FindVolumes,
    MakeSampleData,
    RemoveCases,
    SetRole,
)
from PseudoLabelCLLib.project_service.handle_request import handler
from PseudoLabelCLLib.project_service.project_session import ProjectSession
from PseudoLabelCLLib.project_service.refusal import refusal_of
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, storage_error
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

# Enough to see the loop at work, few enough for a CPU: 1 to learn from, 1 to measure with.
NUM_SAMPLES = {"annotated": 1, "unlabelled": 6, "test": 1}
_SAMPLE_ROLES = {
    "annotated": CaseRole.ANNOTATED,
    "unlabelled": CaseRole.UNLABELLED,
    "test": CaseRole.VALIDATION,
}
_log = logging.getLogger(__name__)


@handler
def _find(session: ProjectSession, request: FindVolumes, progress: ReportProgress) -> VolumesFound:
    from PseudoLabelCLLib.curation.find.find_volumes import find_volumes  # noqa: PLC0415 - seldom needed

    project = session.project() if session.has_project else None
    cases = () if project is None else project.cases
    return find_volumes(
        Path(request.path),
        [case.id for case in cases],
        progress=progress,
        answers=request.answers,
        kept=kept_answers(cases),
        channels=() if project is None else project.channels,
    )


@handler
def _add(session: ProjectSession, request: AddVolumes, progress: ReportProgress) -> VolumesAdded:
    problems: list[Problem] = []
    for number, volume in enumerate(request.volumes):
        progress(Text("Reading '{case}'", case=volume.case_id), number, len(request.volumes))
        before = session.project()  # refuses all that follow once the project is gone
        try:
            project, notices = _add_one(session.root, before, volume)
        except QuestionError as asked:
            question = asked.question
            asked_of = _problem(volume, question.message, NO_TEXT, is_error=True)
            problems.append(replace(asked_of, question=question))
            continue
        except LeftOutError as left_out:
            problems.append(_problem(volume, left_out.message, NO_TEXT, is_error=False))
            continue
        except Exception as error:  # noqa: BLE001 - the others shall be added all the same
            _log.warning("A volume was not added.", exc_info=error)
            told = refusal_of(0, error)
            problems.append(_problem(volume, told.message, told.remedy, is_error=True))
            continue
        session.update(project)
        problems += [_problem(volume, notice, NO_TEXT, is_error=False) for notice in notices]
    return VolumesAdded(session.view(), tuple(problems))


def _add_one(root: Path, before: Project, volume: NewCase) -> tuple[Project, tuple[Text, ...]]:
    new_files = files_to_come(ProjectLayout(root), before, [volume])
    try:
        return add_or_annotate(root, before, volume)
    except BaseException:
        undo_adding(root, before, new_files)
        raise


def _problem(volume: NewCase, message: Text, remedy: Text, *, is_error: bool) -> Problem:
    return Problem(volume.case_id, is_error, message, remedy)


@handler
def _add_further_image(
    session: ProjectSession, request: AddFurtherImage, _: object
) -> VolumesAdded:
    asking = Asking(request.case_id, request.answers)
    try:
        project, notices = add_further_image(
            session.root,
            session.project(),
            request.case_id,
            request.image,
            request.first_channel,
            asking,
            copy_image=request.copy_image,
        )
    except QuestionError as asked:
        question = asked.question
        problem = _about(request, question.message, question)
        return VolumesAdded(session.view(), (problem,))
    except LeftOutError as left_out:
        return VolumesAdded(session.view(), (_about(request, left_out.message),))
    session.update(project)
    told = tuple(_about(request, notice) for notice in notices)
    return VolumesAdded(session.view(), told)


def _about(request: AddFurtherImage, message: Text, question: Question | None = None) -> Problem:
    is_error = question is not None
    return Problem(request.case_id, is_error, message, NO_TEXT, question)


@handler
def _set_role(session: ProjectSession, request: SetRole, _: object) -> ProjectView:
    return session.updated_view(
        set_role(session.root, session.project(), request.case_ids, request.role)
    )


@handler
def _choose_slices(session: ProjectSession, request: ChooseSlices, _: object) -> ProjectView:
    changed = choose_counting_slices(
        session.root, session.project(), request.case_ids, only_drawn=request.only_drawn
    )
    return session.updated_view(changed)


@handler
def _remove(session: ProjectSession, request: RemoveCases, _: object) -> ProjectView:
    return session.updated_view(remove_cases(session.root, session.project(), request.case_ids))


@handler
def _check(session: ProjectSession, _request: CheckCases, progress: ReportProgress) -> CasesChecked:
    findings = check_cases(session.root, session.project(), progress=progress)
    return CasesChecked(
        tuple(
            Problem(f.case_id, f.severity != "note", f.message, f.remedy, f.question)
            for f in findings
        )
    )


@handler
def _answer(session: ProjectSession, request: AnswerQuestion, _: object) -> ProjectView:
    kept = keep_answer(session.root, session.project(), request.question, request.value)
    return session.updated_view(kept)


@handler
def _make_samples(
    _: ProjectSession, request: MakeSampleData, progress: ReportProgress
) -> SampleVolumes:
    # It brings scipy along, which nothing else here needs.
    from PseudoLabelCLLib.curation.samples.sample_data import (  # noqa: PLC0415 - see above
        phantom_schema,
        write_sample_cases,
    )

    folder = Path(request.folder).absolute()
    with _folder_made_aside(folder) as aside:
        numbers = {f"num_{kind}": number for kind, number in NUM_SAMPLES.items()}
        samples = write_sample_cases(aside, 0, **numbers, progress=progress)
    volumes = []
    for sample in samples:
        role = _SAMPLE_ROLES[sample.kind]
        drawn = sample.truth if role is CaseRole.VALIDATION else sample.annotation
        annotation = None if drawn is None else str(folder / drawn.relative_to(aside))
        image = str(folder / sample.image.relative_to(aside))
        volumes.append(SampleVolume(sample.case_id, role, image, annotation))
    return SampleVolumes(tuple(volumes), phantom_schema())


@contextmanager
def _folder_made_aside(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `folder`, which is empty or not there, if all is well.

    Raises:
        ProjectError: Something else lies in its place.
        StorageError: The disk refuses.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ProjectError(
            Text("'{folder}' exists already and is not an empty folder.", folder=folder),
            Text("Choose a new folder."),
        )
    make_folder(folder.parent)
    aside = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        yield aside
        if folder.exists():
            folder.rmdir()
        aside.chmod(0o755)
        aside.replace(folder)
    except OSError as error:
        raise storage_error(folder, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
