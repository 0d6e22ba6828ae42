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
)
from PseudoLabelCLLib.project_service.open_project import OpenProjectHolder
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.project.provenance import choose_author


def _create(holder: OpenProjectHolder, request: CreateProject, _: object) -> ProjectView:
    root = Path(request.root)
    name = request.name.strip() or root.name
    project = Project(name, request.labels, config_for(request.profile))
    with made_aside(root) as aside:
        create_project(aside, project)
    holder.open(root)
    return holder.view()


def _open(holder: OpenProjectHolder, request: OpenProject, _: object) -> ProjectView:
    holder.open(Path(request.root))
    return replace(holder.view(), notices=holder.notices)


def _close(holder: OpenProjectHolder, _request: CloseProject, _: object) -> Done:
    holder.close()
    return Done()


def _refresh(holder: OpenProjectHolder, _request: Refresh, _: object) -> ProjectView:
    holder.read_anew()
    return holder.view()


def _sign_verdicts(holder: OpenProjectHolder, request: SignVerdicts, _: object) -> ProjectView:
    choose_author(request.name)
    return holder.view()


def _change_labels(holder: OpenProjectHolder, request: ChangeLabels, _: object) -> ProjectView:
    # Reads segmentations, and so needs the readers of images.
    from PseudoLabelCLLib.curation.cases.change_labels import change_labels  # noqa: PLC0415 - see above

    return holder.shown(change_labels(holder.root, holder.project(), request.labels))


def _change_settings(holder: OpenProjectHolder, request: ChangeSettings, _: object) -> ProjectView:
    return holder.shown(change_settings(holder.root, holder.project(), request.values))


def _go_back(holder: OpenProjectHolder, request: GoBack, _: object) -> ProjectView:
    from PseudoLabelCLLib.curation.review.go_back import go_back  # noqa: PLC0415 - seldom needed

    go_back(holder.root, holder.project(), request.round_index)
    holder.read_anew()
    return holder.view()


HANDLERS = {
    "CreateProject": _create,
    "OpenProject": _open,
    "CloseProject": _close,
    "Refresh": _refresh,
    "SignVerdicts": _sign_verdicts,
    "ChangeLabels": _change_labels,
    "ChangeSettings": _change_settings,
    "GoBack": _go_back,
}
