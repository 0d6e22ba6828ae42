"""The actions of step "cases": volumes, their roles and segmentations, the structures."""

from functools import partial

from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.cases.finding import gather, new_volumes
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.facts.case_questions import (
    answered,
    asked_alike,
    questions_of,
    questions_of_further,
    questions_of_search,
)
from PseudoLabelCLGui.presenter.reasons import no_change
from PseudoLabelCLGui.presenter.waiting import cases_to_check
from PseudoLabelCLGui.presenter.words import counted
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.answers import (
    CasesChecked,
    FoundVolume,
    Problem,
    VolumesAdded,
    VolumesFound,
)
from PseudoLabelCLLib.messages.requests import (
    AddFurtherImage,
    AddVolumes,
    AnswerQuestion,
    ChangeLabels,
    CheckCases,
    ChooseSlices,
    FindVolumes,
    RemoveCases,
    SetRole,
)


class CasesActions:
    """The actions of step "cases".

    Args:
        core: What all parts share.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def add_volumes(self, volumes: tuple[NewCase, ...]) -> None:
        """Add volumes; what was unfit about single ones is told."""
        if volumes and self._may_change():
            self._add(volumes)

    def add_paths(self, paths: tuple[str, ...], role: CaseRole | None = None) -> None:
        """Add the volumes in files and folders; `on_found` where there is a choice.

        Args:
            paths: Files and folders.
            role: What for; None always lets the person choose.
        """
        if paths and self._may_change():
            self._search(tuple(FindVolumes(path) for path in paths), role)

    def _search(self, searches: tuple[FindVolumes, ...], role: CaseRole | None) -> None:
        core = self._core
        core.facts.changing = _("Looking for volumes...")
        found: list[tuple[str, VolumesFound]] = []
        left = list(searches)

        def search() -> None:
            if left:
                one = left.pop(0)
                core.ask(one, partial(heard, one), failed=search)
                return
            core.end_change()
            self._take_found(gather(tuple(found)), len(searches), role)

        def heard(one: FindVolumes, answer: VolumesFound) -> None:
            found.append((one.path, answer))
            new = questions_of_search(one, role, answer.problems)
            core.facts.asked = tuple(dict.fromkeys((*core.facts.asked, *new)))
            search()

        search()

    def _take_found(self, found: VolumesFound, num_paths: int, role: CaseRole | None) -> None:
        core = self._core
        self._tell_problems(found.problems)
        is_choice = role is None or len(found.volumes) > num_paths
        if found.volumes and is_choice and core.is_heard("on_found"):
            core.listeners.on_found(found)
        elif found.volumes and core.facts.view is not None:
            self._add_found(found.volumes, role)
        elif not found.problems and core.facts.topic != "service":
            text = _("No volume was found there.")
            remedy = _("Choose NRRD, NIfTI or MHA files, or a folder with DICOM slices.")
            core.tell(Light.AMBER, text, remedy, topic="cases")

    def add_found(self, found: tuple[FoundVolume, ...], role: CaseRole | None = None) -> None:
        """Add what `on_found` reported; without a role, those with a segmentation are annotated."""
        if found and self._may_change():
            self._add_found(found, role)

    def _add_found(self, found: tuple[FoundVolume, ...], role: CaseRole | None) -> None:
        view = self._core.facts.view
        taken = tuple(case.id for case in view.cases) if view else ()
        new = new_volumes(found, role, taken)
        num_lacking = sum(one.role is not role for one in new) if role is not None else 0
        words = ""
        if num_lacking:
            words = counted(
                num_lacking,
                _("1 of the volumes has no segmentation and was added as unlabelled."),
                _("{count} of the volumes have no segmentation and were added as unlabelled."),
            )
        self._add(new, words)

    def annotate(self, case_id: str, file: str) -> None:
        """Give a case the segmentation in a file, and make it annotated."""
        view = self._core.facts.view
        case = view.case(case_id) if view else None
        if case is not None and self._may_change():
            role = case.role if case.role.needs_annotation else CaseRole.ANNOTATED
            self._add((NewCase(case.id, role, case.image, case.case.dicom_series_uid, file),))

    def add_further_image(
        self,
        case_id: str,
        image: NamedImage,
        first_channel: str = "",
        *,
        copy_image: bool = False,
    ) -> None:
        """Give a case another image of its patient.

        Args:
            case_id: The case.
            image: Where it lies, and which channel it is.
            first_channel: What the images that the cases have are called, where the project does
                not say so yet.
            copy_image: Whether the project keeps a copy of its own.
        """
        if self._may_change():
            self._add_further(AddFurtherImage(case_id, image, first_channel, copy_image=copy_image))

    def _add_further(self, request: AddFurtherImage) -> None:
        def added(answer: VolumesAdded) -> None:
            facts = self._core.facts
            new = questions_of_further(answer.problems, request)
            facts.asked = tuple(dict.fromkeys((*facts.asked, *new)))
            self._tell_problems(answer.problems)

        self._core.change(request, _("The image is being read."), added)

    def _add(self, volumes: tuple[NewCase, ...], remark: str = "") -> None:
        """Add volumes; the remark is shown unless there is a problem to show."""

        def added(answer: VolumesAdded) -> None:
            facts = self._core.facts
            new = questions_of(answer.problems, volumes)
            facts.asked = tuple(dict.fromkeys((*facts.asked, *new)))
            self._tell_problems(answer.problems)
            if remark and not answer.problems:
                remedy = _("You can choose the segmentation of a volume when you add it.")
                self._core.tell(Light.AMBER, remark, remedy, topic="cases")

        self._core.change(AddVolumes(volumes), _("The volumes are being read."), added)

    def _tell_problems(self, problems: tuple[Problem, ...]) -> None:
        if not problems:
            return
        self._core.facts.findings = problem_lines(problems)
        first = problems[0]
        stops = any(one.is_error and one.question is None for one in problems)
        worst = Light.RED if stops else Light.AMBER
        more = len(problems) - 1
        remedy = translated(first.remedy)
        text = translated(first.message)
        if first.question is not None:
            text = _("There is a question about the files of '{case}'.").format(case=first.case_id)
            remedy = _("Choose the answer below the table of cases.")
        if more:
            remedy += " " + counted(
                more,
                _("1 more is listed below the table of cases."),
                _("{count} more are listed below the table of cases."),
            )
        self._core.tell(worst, text, remedy, topic="cases")

    def set_role(self, case_ids: tuple[str, ...], role: CaseRole) -> None:
        """Give cases another role."""
        if case_ids and self._may_change():
            self._core.change(SetRole(case_ids, role), _("The roles are being changed."))

    def choose_slices(self, case_ids: tuple[str, ...], *, only_drawn: bool) -> None:
        """Let only the drawn slices of annotated cases count, or all."""
        if case_ids and self._may_change():
            words = _("The slices that count are being changed.")
            self._core.change(ChooseSlices(case_ids, only_drawn), words)

    def remove(self, case_ids: tuple[str, ...]) -> None:
        """Take cases out of the project."""
        if case_ids and self._may_change():
            self._core.change(RemoveCases(case_ids), _("The cases are being removed."))

    def change_labels(self, labels: LabelSchema) -> None:
        """Change the structures."""
        if self._may_change():
            self._core.change(ChangeLabels(labels), _("The structures are being changed."))

    def check(self) -> None:
        """Look at every case before training; `state.cases.findings` tells."""
        core = self._core

        def checked(answer: CasesChecked) -> None:
            core.facts.asked = questions_of(answer.problems)
            lines = problem_lines(answer.problems)
            fits = () if answer.problems else (_("The check found no problems."),)
            core.facts.findings = lines or fits
            core.facts.checked = cases_to_check(core.facts.view)

        if self._may_change():
            core.change(CheckCases(), _("The cases are being checked."), checked)

    def answer_question(self, number: int, value: str) -> None:
        """Answer a question about the files of cases; `state.cases.questions` has them."""
        facts = self._core.facts
        if number >= len(facts.asked) or not self._may_change():
            return
        asked = facts.asked[number]

        def keep(request: AnswerQuestion) -> None:
            self._core.change(request, _("The answer is being saved."))

        def search(request: FindVolumes, role: CaseRole | None) -> None:
            self._search((request,), role)

        same = asked_alike(asked, facts.asked)
        facts.asked = tuple(one for one in facts.asked if one not in same)
        facts.checked = None
        answered(same, value, search=search, add=self._add, further=self._add_further, keep=keep)

    def _may_change(self) -> bool:
        return self._core.may(no_change, topic="cases")


def problem_lines(problems: tuple[Problem, ...]) -> tuple[str, ...]:
    """Return problems as lines, those that stand in the way first."""
    lines = []
    for problem in sorted(problems, key=lambda one: not one.is_error):
        if problem.question is not None:
            continue  # it stands among the questions
        line = f"{translated(problem.message)} {translated(problem.remedy)}".strip()
        lines.append(_("Error: {line}").format(line=line) if problem.is_error else line)
    return tuple(lines)
