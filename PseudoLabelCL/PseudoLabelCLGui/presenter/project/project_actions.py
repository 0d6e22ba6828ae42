"""The actions around the project: made, opened, closed; that of a scene only after a question."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.facts.facts import Answer, Decision
from PseudoLabelCLGui.presenter.leaving import Leaving
from PseudoLabelCLGui.presenter.ports import RecentProjects
from PseudoLabelCLGui.presenter.reasons import no_opening
from PseudoLabelCLGui.presenter.service_line import nothing
from PseudoLabelCLGui.presenter.words import printable
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.case import NewCase
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.answers import SampleVolumes
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests import (
    CloseProject,
    CreateProject,
    MakeSampleData,
    SignVerdicts,
)

NUM_RECENT = 8


class ProjectActions:
    """The actions around the project as a whole.

    Args:
        core: What all parts share.
        leaving: Asks about unsaved changes before a project is left.
        recent: Where the folders of projects are remembered.
        rest: Called before a project is left: it pauses the worker.
        add_volumes: Adds volumes to the project that is open.
    """

    def __init__(
        self,
        core: Core,
        leaving: Leaving,
        recent: RecentProjects,
        *,
        rest: Callable[[], None],
        add_volumes: Callable[[tuple[NewCase, ...]], None],
    ) -> None:
        self._core = core
        self._leaving = leaving
        self._recent = recent
        self._rest = rest
        self._add_volumes = add_volumes
        self._offered: Decision | None = None
        core.facts.recent = recent.read()[:NUM_RECENT]

    def new(self, root: str, name: str, labels: LabelSchema) -> None:
        """Make a project and open it."""
        self.withdraw()
        self._leave_then(partial(self._create, root, name, labels, self._opened))

    def open(self, root: str) -> None:
        """Open a project, in place of the one that is open; an interrupted round can go on."""
        self.withdraw()
        core = self._core
        view = core.facts.view
        if view is not None and view.root == root and not core.facts.opening:
            core.begin("project")
            if not core.facts.is_away:
                core.ask(CloseProject(), is_quiet=True)
            core.reopen(root)
        else:
            self._leave_then(partial(core.reopen, root))

    def open_again(self) -> None:
        """Open the project that was opened last."""
        if self._core.last_root:
            self.open(self._core.last_root)

    def close(self) -> None:
        """Close the project; a training is saved and continues when the project is opened again."""
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
                step=(_("Open again"), partial(self.open, view.root)),
            )
        if core.service.is_started:
            core.ask(CloseProject(), is_quiet=True)
        core.listeners.on_project_closed()

    def make_sample(self, folder: str) -> None:
        """Make phantom volumes in a folder, and a project of them."""
        self.withdraw()
        self._leave_then(partial(self._make_samples, Path(folder)))

    def _make_samples(self, parent: Path) -> None:
        core = self._core

        def made(answer: SampleVolumes) -> None:
            volumes = tuple(
                NewCase(v.case_id, v.role, v.image, None, v.annotation) for v in answer.volumes
            )
            core.end_change()

            def created(created: ProjectView) -> None:
                self._opened(created)
                self._add_volumes(volumes)

            name = _("Sample project")
            self._create(str(parent / "project"), name, answer.labels, created)

        words = _("Creating the sample volumes...")
        core.change(MakeSampleData(str(parent / "volumes")), words, made)

    def _leave_then(self, then: Callable[[], None]) -> None:
        """Open another project, once unsaved changes in the one that is open were asked about."""
        if self._core.may(no_opening, topic="project"):
            self._leaving.before(partial(self._leave, then))

    def _leave(self, then: Callable[[], None]) -> None:
        core = self._core
        if not core.can(no_opening, topic="project"):
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

    def sign_verdicts(self, name: str) -> None:
        """Choose the name that verdicts given here bear from now on; empty for none."""
        view = self._core.facts.view
        if view is not None and name != view.author:
            self._core.ask(SignVerdicts(name))

    def remember(self, root: str) -> None:
        """Put a project that was opened at the head of those that were."""
        facts = self._core.facts
        facts.recent = (root, *(one for one in facts.recent if one != root))[:NUM_RECENT]
        self._recent.write(facts.recent)

    # --- the project that a scene names: a scene may be a stranger's, so the person decides first

    def offer(self, root: str) -> None:
        """Ask whether to open a project, unless one is open or something else is asked."""
        core = self._core
        if not root or core.root or core.facts.decision is not None:
            return
        self._offered = Decision(
            _("This scene belongs to the project '{root}'.").format(root=printable(root)),
            _(
                "Open it? If this scene is not your own, first make sure that you recognise this "
                "folder."
            ),
            (
                Answer(
                    _("Open the project"),
                    _("Opens this project, as if you had chosen its folder."),
                    partial(self.open, root),
                ),
                Answer(_("Not now"), _("Leaves the folder untouched."), nothing),
            ),
        )
        core.facts.decision = self._offered
        core.is_dirty = True

    def withdraw(self) -> None:
        """The scene is closed: its project is no longer asked about."""
        core = self._core
        if self._offered is not None and core.facts.decision is self._offered:
            core.facts.decision = None
            core.is_dirty = True
        self._offered = None
