"""The project that a scene names: a scene may be a stranger's, so the person decides first."""

from collections.abc import Callable
from functools import partial

from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.facts.facts import Answer, Question
from PseudoLabelCLGui.presenter.service_line import nothing
from PseudoLabelCLGui.presenter.words import printable
from PseudoLabelCLGui.translation import _


class SceneProject:
    """Asks before the project of a scene is opened; nothing looks at its path before the answer.

    Args:
        core: What all parts share.
        open_project: Opens a project.
    """

    def __init__(self, core: Core, open_project: Callable[[str], None]) -> None:
        self._core = core
        self._open_project = open_project
        self._offered: Question | None = None

    def offer(self, root: str) -> None:
        """Ask whether to open a project, unless one is open or something else is asked."""
        core = self._core
        if not root or core.root or core.facts.question is not None:
            return
        self._offered = Question(
            _("This scene belongs to the project '{root}'.").format(root=printable(root)),
            _(
                "Open it? If this scene is not your own, first make sure that you recognise this "
                "folder."
            ),
            (
                Answer(
                    _("Open the project"),
                    _("Opens this project, as if you had chosen its folder."),
                    partial(self._open_project, root),
                ),
                Answer(_("Not now"), _("Leaves the folder untouched."), nothing),
            ),
        )
        core.facts.question = self._offered
        core.is_dirty = True

    def withdraw(self) -> None:
        """The scene is closed: its project is no longer asked about."""
        core = self._core
        if self._offered is not None and core.facts.question is self._offered:
            core.facts.question = None
            core.is_dirty = True
        self._offered = None
