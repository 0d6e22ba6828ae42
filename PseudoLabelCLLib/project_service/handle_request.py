"""Which function meets which request; what a request needs is imported when it first comes."""

import importlib
from collections.abc import Callable
from typing import TypeAlias, cast

from PseudoLabelCLLib.messages.requests import Request
from PseudoLabelCLLib.messages.service_messages import RequestAnswer
from PseudoLabelCLLib.project_service.open_project import OpenProjectHolder

# What is done now, steps done, steps in all.
SayWorking: TypeAlias = Callable[[str, int, int], None]
_Handler: TypeAlias = Callable[[OpenProjectHolder, Request, SayWorking], RequestAnswer]

# Readers of images and arrays take half a second to import; opening a project needs none.
_MODULES = {
    "project": (
        "CreateProject", "OpenProject", "CloseProject", "Refresh", "ChangeLabels",
        "ChangeSettings", "GoBack", "SignVerdicts",
    ),
    "cases": (
        "FindVolumes", "AddVolumes", "SetRole", "RemoveCases", "CheckCases", "MakeSampleData",
        "AnswerQuestion", "ChooseSlices",
    ),
    "review": (
        "ShowCase", "Accept", "Reject", "Correct", "PreviewCorrection", "TakeBackVerdict",
        "ReadHistory",
    ),
    "results": ("Export", "SaveModel", "ReadModel"),
    "dicom": ("CheckDicomExport", "ExportDicom"),
}  # fmt: skip
_CHANGES = frozenset((
    "AddVolumes", "SetRole", "RemoveCases", "Accept", "Reject", "Correct", "TakeBackVerdict",
    "ChangeLabels", "ChangeSettings", "GoBack", "AnswerQuestion", "ChooseSlices",
))  # fmt: skip
_MODULE_OF = {request: module for module, requests in _MODULES.items() for request in requests}


def handle(holder: OpenProjectHolder, request: Request, working: SayWorking) -> RequestAnswer:
    """Do what a request asks for and return the answer.

    Args:
        holder: The open project.
        request: What is asked for.
        working: Tells how far a request is that takes a while.

    Raises:
        PseudoLabelCLError: It cannot be met; nothing on disk has changed.
    """
    name = type(request).__name__
    if name in _CHANGES:
        holder.require_writable()
    module = importlib.import_module(
        f"PseudoLabelCLLib.project_service.handlers.{_MODULE_OF[name]}"
    )
    handlers = cast(dict[str, _Handler], module.HANDLERS)
    return handlers[name](holder, request, working)
