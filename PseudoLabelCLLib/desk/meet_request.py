"""Which function meets which request; what a request needs is imported when it first comes."""

import importlib
from collections.abc import Callable
from typing import TypeAlias, cast

from PseudoLabelCLLib.desk.open_project import OpenProjectHolder
from PseudoLabelCLLib.domain.desk_requests import DeskRequest
from PseudoLabelCLLib.process.desk_protocol import DeskAnswer

# What is done now, steps done, steps in all.
SayWorking: TypeAlias = Callable[[str, int, int], None]
_Meet: TypeAlias = Callable[[OpenProjectHolder, DeskRequest, SayWorking], DeskAnswer]

# Readers of images and arrays take half a second to import; opening a project needs none.
_MODULES = {
    "project_requests": (
        "CreateProject", "OpenProject", "CloseProject", "Refresh", "ChangeLabels",
        "ChangeSettings", "GoBack", "SignVerdicts",
    ),
    "case_requests": (
        "FindVolumes", "AddVolumes", "SetRole", "RemoveCases", "CheckCases", "MakeSampleData",
        "AnswerQuestion", "ChooseSlices",
    ),
    "review_requests": (
        "ShowCase", "Accept", "Reject", "Correct", "PreviewCorrection", "TakeBackVerdict",
        "ReadHistory",
    ),
    "result_requests": ("Export", "SaveModel", "ReadModel"),
    "dicom_requests": ("CheckDicomExport", "ExportDicom"),
}  # fmt: skip
_CHANGES = frozenset((
    "AddVolumes", "SetRole", "RemoveCases", "Accept", "Reject", "Correct", "TakeBackVerdict",
    "ChangeLabels", "ChangeSettings", "GoBack", "AnswerQuestion", "ChooseSlices",
))  # fmt: skip
_MODULE_OF = {request: module for module, requests in _MODULES.items() for request in requests}


def meet(holder: OpenProjectHolder, request: DeskRequest, working: SayWorking) -> DeskAnswer:
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
    module = importlib.import_module(f"PseudoLabelCLLib.desk.{_MODULE_OF[name]}")
    meetings = cast(dict[str, _Meet], module.MEETINGS)
    return meetings[name](holder, request, working)
