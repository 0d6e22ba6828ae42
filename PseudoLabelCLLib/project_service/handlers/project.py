"""Requests about the project as a whole: make, open, close, settings, structures, rounds."""

from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.curation.cases.new_project import made_aside
from PseudoLabelCLLib.curation.cases.settings import change_settings
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.messages.answers import Done
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests import (
    ChangeLabels,
    ChangeSettings,
    CloseProject,
    CreateProject,
    GoBack,
    OpenProject,
    Refresh,
    SignVerdicts,
    StartFrom,
)
from PseudoLabelCLLib.project_service.handle_request import handler
from PseudoLabelCLLib.project_service.project_session import ProjectSession
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.project.provenance import choose_author


@handler
def _create(session: ProjectSession, request: CreateProject, _: object) -> ProjectView:
    root = Path(request.root)
    name = request.name.strip() or root.name
    project = Project(name, request.labels, config_for(request.profile))
    with made_aside(root) as aside:
        create_project(aside, project)
    session.open(root)
    return session.view()


@handler
def _open(session: ProjectSession, request: OpenProject, _: object) -> ProjectView:
    session.open(Path(request.root))
    return replace(session.view(), notices=session.notices)


@handler
def _close(session: ProjectSession, _request: CloseProject, _: object) -> Done:
    session.close()
    return Done()


@handler
def _refresh(session: ProjectSession, _request: Refresh, _: object) -> ProjectView:
    session.reload()
    return session.view()


@handler
def _sign_verdicts(session: ProjectSession, request: SignVerdicts, _: object) -> ProjectView:
    choose_author(request.name)
    return session.view()


@handler
def _change_labels(session: ProjectSession, request: ChangeLabels, _: object) -> ProjectView:
    # Reads segmentations, and so needs the readers of images.
    from PseudoLabelCLLib.curation.cases.change_labels import change_labels  # noqa: PLC0415 - see above

    return session.updated_view(change_labels(session.root, session.project(), request.labels))


@handler
def _change_settings(session: ProjectSession, request: ChangeSettings, _: object) -> ProjectView:
    return session.updated_view(change_settings(session.root, session.project(), request.values))


@handler
def _start_from(session: ProjectSession, request: StartFrom, _: object) -> ProjectView:
    # Looks at segmentations, and so needs the readers of images.
    from PseudoLabelCLLib.curation.cases.starting_model import (  # noqa: PLC0415 - see above
        start_afresh,
        start_from_model,
    )

    if request.model:
        changed = start_from_model(session.root, session.project(), Path(request.model))
    else:
        changed = start_afresh(session.root, session.project())
    return session.updated_view(changed)


@handler
def _go_back(session: ProjectSession, request: GoBack, _: object) -> ProjectView:
    from PseudoLabelCLLib.curation.review.go_back import go_back  # noqa: PLC0415 - seldom needed

    go_back(session.root, session.project(), request.round_index)
    session.reload()
    return session.view()
