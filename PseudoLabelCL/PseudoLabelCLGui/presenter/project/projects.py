"""Making, opening and changing the project."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.cases.finding import gather, new_volumes
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.facts.questions import (
    answered,
    asked_alike,
    questions_of,
    questions_of_search,
)
from PseudoLabelCLGui.presenter.leaving import Leaving
from PseudoLabelCLGui.presenter.reasons import no_change, no_opening
from PseudoLabelCLGui.presenter.waiting import cases_to_check
from PseudoLabelCLGui.presenter.words import counted
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.answers import (
    CasesChecked,
    FoundVolume,
    Problem,
    SampleVolumes,
    VolumesAdded,
    VolumesFound,
)
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests import (
    AddVolumes,
    AnswerQuestion,
    ChangeLabels,
    ChangeSettings,
    CheckCases,
    ChooseSlices,
    CloseProject,
    CreateProject,
    FindVolumes,
    MakeSampleData,
    NewVolume,
    ReadHistory,
    RemoveCases,
    SetRole,
)


class ProjectActions:
    """The actions around the project and in step "cases".

    Args:
        core: What all parts share.
        leaving: Asks about unsaved changes before a project is left.
        rest: Called before a project is left: it pauses the worker.
    """

    def __init__(self, core: Core, leaving: Leaving, rest: Callable[[], None]) -> None:
        self._core = core
        self._leaving = leaving
        self._rest = rest

    # --- the project

    def new_project(self, root: str, name: str, labels: LabelSchema) -> None:
        """Make a project and open it."""
        self._leave_then(partial(self._create, root, name, labels, self._opened))

    def open_project(self, root: str) -> None:
        """Open a project, in place of the one that is open."""
        core = self._core
        view = core.facts.view
        if view is not None and view.root == root and not core.facts.opening:
            core.begin("project")
            if not core.facts.is_away:
                core.ask(CloseProject(), is_quiet=True)
            core.reopen(root)
        else:
            self._leave_then(partial(core.reopen, root))

    def close_project(self) -> None:
        """Let go of the project; a training is saved and goes on when it is opened again."""
        self._core.begin("project")
        self._leaving.before(self._close)

    def _close(self) -> None:
        core = self._core
        view, trains = core.facts.view, core.facts.trains
        if view is None and not core.facts.opening:
            return
        self._rest()
        core.forget_project()
        if trains and view is not None:
            core.tell(
                Light.AMBER,
                _("The training of '{name}' is being saved and paused.").format(name=view.name),
                _("Open the project again to continue it."),
                topic="project",
                step=(_("Open again"), partial(self.open_project, view.root)),
            )
        if core.service.is_started:
            core.ask(CloseProject(), is_quiet=True)
        core.listeners.on_project_closed()

    def make_sample_project(self, folder: str) -> None:
        """Make phantom volumes in a folder, and a project of them."""
        self._leave_then(partial(self._make_samples, Path(folder)))

    def _make_samples(self, parent: Path) -> None:
        core = self._core

        def made(answer: SampleVolumes) -> None:
            volumes = tuple(
                NewVolume(v.case_id, v.role, v.image, None, v.annotation) for v in answer.volumes
            )
            core.end_change()

            def created(created: ProjectView) -> None:
                self._opened(created)
                self._add(volumes)

            name = _("Sample project")
            self._create(str(parent / "project"), name, answer.labels, created)

        words = _("Creating the sample volumes...")
        core.change(MakeSampleData(str(parent / "volumes")), words, made)

    def _leave_then(self, then: Callable[[], None]) -> None:
        """Open another project, once unsaved changes in the one that is open were asked about."""
        core = self._core
        core.begin("project")
        if reason := no_opening(core.facts):
            core.refuse(reason, topic="project")
        else:
            self._leaving.before(partial(self._leave, then))

    def _leave(self, then: Callable[[], None]) -> None:
        core = self._core
        if reason := no_opening(core.facts):
            core.refuse(reason, topic="project")
            return
        if core.facts.view is not None:
            self._rest()
            core.forget_project()
            core.ask(CloseProject(), is_quiet=True)
            core.listeners.on_project_closed()
        then()

    def _create(
        self, root: str, name: str, labels: LabelSchema, then: Callable[[ProjectView], None]
    ) -> None:
        core = self._core
        core.facts.opening = core.last_root = root
        request = CreateProject(root, name, Profile.QUICK, labels)
        core.ask(request, then, failed=self._not_opened)

    def _opened(self, _view: ProjectView) -> None:
        self._core.facts.opening = ""
        self._core.opened()

    def _not_opened(self) -> None:
        self._core.facts.opening = ""

    # --- cases

    def add_volumes(self, volumes: tuple[NewVolume, ...]) -> None:
        """Add volumes; what was unfit about single ones is told."""
        if volumes and self._may_change("cases"):
            self._add(volumes)

    def add_paths(self, paths: tuple[str, ...], role: CaseRole | None) -> None:
        """Look for volumes in files and folders and add them, or let the person choose."""
        if paths and self._may_change("cases"):
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

    def add_found(self, found: tuple[FoundVolume, ...], role: CaseRole | None) -> None:
        """Add volumes that were found, those with a segmentation as annotated if no role is given.

        Args:
            found: What the person wants of it.
            role: What for, or None.
        """
        if found and self._may_change("cases"):
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
        if case is not None and self._may_change("cases"):
            role = case.role if case.role.needs_annotation else CaseRole.ANNOTATED
            self._add((NewVolume(case.id, role, case.image, case.series_uid, file),))

    def _add(self, volumes: tuple[NewVolume, ...], remark: str = "") -> None:
        """Add volumes; the remark is told if nothing worse is."""

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
        remedy = first.remedy
        text = first.message
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
        if case_ids and self._may_change("cases"):
            self._core.change(SetRole(case_ids, role), _("The roles are being changed."))

    def choose_slices(self, case_ids: tuple[str, ...], *, only_drawn: bool) -> None:
        """Let only the drawn slices of annotated cases count, or all."""
        if case_ids and self._may_change("cases"):
            words = _("The slices that count are being changed.")
            self._core.change(ChooseSlices(case_ids, only_drawn), words)

    def remove_cases(self, case_ids: tuple[str, ...]) -> None:
        """Take cases out of the project."""
        if case_ids and self._may_change("cases"):
            self._core.change(RemoveCases(case_ids), _("The cases are being removed."))

    def change_labels(self, labels: LabelSchema) -> None:
        """Change the structures."""
        if self._may_change("cases"):
            self._core.change(ChangeLabels(labels), _("The structures are being changed."))

    def check_cases(self) -> None:
        """Look at every case before training."""
        core = self._core

        def checked(answer: CasesChecked) -> None:
            core.facts.asked = questions_of(answer.problems)
            lines = problem_lines(answer.problems)
            fits = () if answer.problems else (_("The check found no problems."),)
            core.facts.findings = lines or fits
            core.facts.checked = cases_to_check(core.facts.view)

        if self._may_change("cases"):
            core.change(CheckCases(), _("The cases are being checked."), checked)

    def answer_question(self, number: int, value: str) -> None:
        """Answer a question about the files of cases."""
        facts = self._core.facts
        if number >= len(facts.asked) or not self._may_change("cases"):
            return
        asked = facts.asked[number]

        def keep(request: AnswerQuestion) -> None:
            self._core.change(request, _("The answer is being saved."))

        def search(request: FindVolumes, role: CaseRole | None) -> None:
            self._search((request,), role)

        same = asked_alike(asked, facts.asked)
        facts.asked = tuple(one for one in facts.asked if one not in same)
        facts.checked = None
        answered(same, value, search=search, add=self._add, keep=keep)

    # --- settings

    def change_setting(self, name: str, value: str) -> None:
        """Change one setting by its name, such as "training.joint.num_steps".

        While another is being changed, it waits for that.
        """
        core = self._core
        if core.service.awaits(ChangeSettings) and core.facts.view is not None:
            core.facts.next_settings[name] = value
            core.is_dirty = True
        elif self._may_change("train"):
            self._change_settings({name: value})

    def _change_settings(self, values: dict[str, str]) -> None:
        words = _("The settings are being changed.")
        self._core.change(
            ChangeSettings(values),
            words,
            lambda _view: self._change_next(),
            failed=self._change_next,
        )

    def _change_next(self) -> None:
        """Change the settings that waited."""
        facts = self._core.facts
        waiting = dict(facts.next_settings)
        facts.next_settings.clear()
        if waiting:
            self._change_settings(waiting)

    # --- history

    def read_history(self) -> None:
        """Measure the rounds so far."""
        core = self._core
        if core.facts.view is None or core.service.awaits(ReadHistory):
            return
        core.ask(ReadHistory(), core.take_history)

    def _may_change(self, topic: str) -> bool:
        self._core.begin(topic)
        if reason := no_change(self._core.facts):
            self._core.refuse(reason, topic=topic)
            return False
        return True


def problem_lines(problems: tuple[Problem, ...]) -> tuple[str, ...]:
    """Return problems as lines, those that stand in the way first."""
    lines = []
    for problem in sorted(problems, key=lambda one: not one.is_error):
        if problem.question is not None:
            continue  # it stands among the questions
        line = f"{problem.message} {problem.remedy}".strip()
        lines.append(_("Error: {line}").format(line=line) if problem.is_error else line)
    return tuple(lines)
