"""Which volumes are cut in another plane than the one that they resolve best."""

from collections.abc import Iterator

from PseudoLabelCLLib.curation.check.case_finding import Finding, asked
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.plane import Plane, stored_plane
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Question
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.text import NO_TEXT, Text

_MAX_NAMED = 4


def plane_findings(project: Project) -> Iterator[Finding]:
    """Yield what a person should know, or has to say, about the plane of the slices."""
    settings = project.preprocess
    plane = settings.plane
    if plane is None or settings.slicing_axis is not None:
        return
    cases = [case for case in project.cases if case.role is not CaseRole.IGNORED]
    unsuited = [case for case in cases if not plane.suits(case.geometry)]
    if unsuited:
        is_settled = bool(project.rounds) or project.config.preprocess.plane is not None
        yield _settled(plane, unsuited) if is_settled else _question(plane, unsuited)
    otherwise = [
        case for case in cases if case not in unsuited and stored_plane(case.geometry) is not plane
    ]
    if otherwise:
        told = Note.OTHER_PLANE.say(cases=_named(otherwise), plane=plane.word)
        yield Finding("", "note", told, NO_TEXT)


def _question(plane: Plane, unsuited: list[Case]) -> Finding:
    message = Text(
        "Most volumes have their best resolution in {plane} slices, but not {cases}: "
        "{plane} slices of {volumes} have stretched pixels ({pixels}). All volumes of "
        "a project are cut in one plane.",
        plane=plane.word,
        cases=_named(unsuited),
        volumes=Text("it") if len(unsuited) == 1 else Text("them"),
        pixels=_stretched(plane, unsuited[0]),
    )
    return asked(Question(QuestionKind.PLANE, message))


def _settled(plane: Plane, unsuited: list[Case]) -> Finding:
    told = Note.STRETCHED.say(
        cases=_named(unsuited), plane=plane.word, pixels=_stretched(plane, unsuited[0])
    )
    return Finding("", "note", told, Text("Give volumes that do not belong here the role ignored."))


def _stretched(plane: Plane, case: Case) -> Text:
    axis = plane.slicing_axis_of(case.geometry)
    sides = [f"{mm:.3g}" for n, mm in enumerate(case.geometry.spacing_mm) if n != axis]
    return Text("{size} mm", size=" x ".join(sides))


def _named(cases: list[Case]) -> Text:
    names = ", ".join(f"'{case.id}'" for case in cases[:_MAX_NAMED])
    if not cases[_MAX_NAMED:]:
        return Text("{names}", names=names)
    return Text("{names} and {count} others", names=names, count=len(cases) - _MAX_NAMED)
